import pytest


@pytest.fixture(autouse=True)
def torchvision_can_be_imported(request):
    """By parity tests, and by timm, even where a build of torch lacks what the import asks for."""
    if request.node.get_closest_marker("parity") or request.node.get_closest_marker("slow"):
        from scripts.benchmarks.torch_oracle import torchvision_and_operators

        torchvision_and_operators()
