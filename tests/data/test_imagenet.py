import re

from jaxvision.data.imagenet import imagenet_classes


def test_the_classes_are_a_thousand_in_the_order_of_their_ids():
    classes = imagenet_classes()
    ids, names = zip(*classes)
    assert len(classes) == len(set(ids)) == len(set(names)) == 1000
    assert list(ids) == sorted(ids)
    assert all(re.fullmatch(r"n\d{8}", wordnet_id) for wordnet_id in ids)
    assert all(re.fullmatch(r"[A-Za-z][A-Za-z' ()-]*", name) for name in names)


def test_some_that_everybody_knows():
    classes = imagenet_classes()
    assert classes[0] == ("n01440764", "tench")
    assert classes[207].name == "golden retriever"
    assert classes[281].name == "tabby"
    assert classes[999].name == "toilet tissue"
