from jaxvision.training.claim import Claim


def test_a_claim_in_words():
    claim = Claim("Wider is better", {"2": {"gap": 0.1, "of": [1, 2]}, "8": 0.2}, "increasing", True)
    measured = "\n  measured: 2: (gap: 0.1; of: (1, 2)); 8: 0.2\n  bound: increasing"
    assert claim.sentence() == f"holds: Wider is better{measured}"
    assert claim._replace(holds=False).sentence() == f"DOES NOT HOLD: Wider is better{measured}"
    assert claim.sentence(trial=True) == f"not judged in a trial: Wider is better{measured}"
