"""The contract of every architecture, and what each one is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segstudy.core.errors import UserError
from segstudy.models import MODELS, build, check_size, resolve_architecture
from segstudy.models.blocks import (
    _Doubled,
    _MaxPool,
    concatenate,
    put_back,
    put_back_by_comparison,
)
from segstudy.models.dilated_unet import dilated_down, dilated_up
from segstudy.store.weights import copy_weights, load_model, model_files

WIDTH = 4
# The contract of the others takes as long again; ``unetpp`` stands for them in the fast tests.
FAST = ("segnet", "unet", "unet2", "dilated_unet", "unetpp")
ARCHITECTURES = [
    *(pytest.param(name, marks=() if name in FAST else pytest.mark.slow) for name in MODELS),
    "unet:skips=false",
]
NORMS = (nn.BatchNorm2d, nn.InstanceNorm2d, nn.GroupNorm)
every_architecture = pytest.mark.parametrize("architecture", ARCHITECTURES)


def images(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def num_parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def layers(model: nn.Module, kind: type[nn.Module]) -> list[nn.Module]:
    return [layer for layer in model.modules() if isinstance(layer, kind)]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Networks this small gain nothing from a second thread, and wait long for it on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def settled(architecture: str) -> nn.Module:
    """A network in evaluation mode whose batch norm has seen images: feature maps keep their scale."""
    model = build(architecture, WIDTH, seed=0)
    for layer in layers(model, nn.BatchNorm2d):
        layer.momentum = None  # running means of all that was seen
    with torch.no_grad():
        model(images(4, 3, 64, 64, seed=9))
    return model.eval()


@contextmanager
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


# The contract, for all.


@every_architecture
@pytest.mark.parametrize("size", [(32, 32), (33, 47), (64, 96), (63, 32)])
@pytest.mark.parametrize("num_images", [1, 3])
def test_one_logit_comes_out_for_every_pixel(
    architecture: str, size: tuple[int, int], num_images: int
) -> None:
    logits = build(architecture, WIDTH, seed=0)(images(num_images, 3, *size))
    assert logits.shape == (num_images, 1, *size)
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()


@every_architecture
def test_the_last_layer_leaves_logits_of_both_signs(architecture: str) -> None:
    logits = build(architecture, WIDTH, seed=0)(images(3, 3, 64, 64))
    assert logits.min() < 0 < logits.max()


@every_architecture
def test_gradients_reach_every_parameter(architecture: str) -> None:
    model = build(architecture, WIDTH, seed=0)
    (model(images(3, 3, 33, 47)) * noise(3, 1, 33, 47)).sum().backward()
    idle = [
        name
        for name, parameter in model.named_parameters()
        if parameter.grad is None or not parameter.grad.isfinite().all() or not parameter.grad.any()
    ]
    assert idle == []


@every_architecture
def test_every_pixel_of_the_image_is_seen(architecture: str) -> None:
    image = images(1, 3, 33, 47).requires_grad_()
    model = settled(architecture)
    (model(image) * noise(1, 1, 33, 47)).sum().backward()
    assert image.grad is not None
    assert (image.grad.abs().sum(1) > 0).all()


@every_architecture
def test_an_image_does_not_see_its_neighbours_in_the_batch(architecture: str) -> None:
    model = settled(architecture)
    batch = images(3, 3, 33, 47)
    assert (model(batch[:1]) - model(batch[1:2])).abs().max() > 1e-3
    torch.testing.assert_close(model(batch)[1:2], model(batch[1:2]), rtol=0, atol=1e-4)


@every_architecture
def test_the_same_seed_gives_the_same_weights(architecture: str) -> None:
    first, second = build(architecture, WIDTH, seed=5), build(architecture, WIDTH, seed=5)
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name]), name


@every_architecture
def test_another_seed_gives_other_weights_in_every_convolution(architecture: str) -> None:
    first, second = build(architecture, WIDTH, seed=5), build(architecture, WIDTH, seed=6)
    kinds = (nn.Conv2d, nn.ConvTranspose2d)
    pairs = [(a, b) for kind in kinds for a, b in zip(layers(first, kind), layers(second, kind), strict=True)]
    assert pairs
    assert all(not torch.equal(a.weight, b.weight) for a, b in pairs)


@every_architecture
def test_building_neither_reads_nor_moves_the_global_random_state(architecture: str) -> None:
    torch.manual_seed(1)
    expected = torch.rand(4)
    torch.manual_seed(1)
    first = build(architecture, WIDTH, seed=0)
    assert torch.equal(torch.rand(4), expected)
    second = build(architecture, WIDTH, seed=0)
    assert torch.equal(first.state_dict()["head.weight"], second.state_dict()["head.weight"])


@every_architecture
def test_width_scales_the_channels_of_every_stage(architecture: str) -> None:
    narrow, wide = build(architecture, WIDTH, seed=0), build(architecture, 3 * WIDTH, seed=0)
    channels = [
        (len(a.weight), len(b.weight))
        for norm in NORMS
        for a, b in zip(layers(narrow, norm), layers(wide, norm), strict=True)
    ]
    assert channels[0] == (WIDTH, 3 * WIDTH)
    assert all(b == 3 * a for a, b in channels)


def write_model(folder: Path, model: nn.Module, **fields: object) -> Path:
    """A run's model files; ``fields`` replace some of the card's."""
    card = {
        "key": "0123456789abcdef",
        "architecture": "unet",
        "width": WIDTH,
        "image_size": [64, 64],
        "resize": "squash",
        "threshold": 0.5,
        "training": {},
        "selected_epoch": 1,
        "tuned_threshold": 0.5,
        "scores": {"test": {"native_iou": 0.8}},
    }
    for name, data in model_files(copy_weights(model), {**card, **fields}).items():
        (folder / name).write_bytes(data)
    return folder


@every_architecture
def test_weights_survive_the_way_through_a_run_folder(architecture: str, tmp_path: Path) -> None:
    model = settled(architecture)
    component, _ = resolve_architecture(architecture)
    write_model(tmp_path, model, architecture=str(component))
    loaded, card = load_model(tmp_path)
    assert card["architecture"] == architecture
    assert not loaded.training
    batch = images(2, 3, 33, 47)
    with torch.inference_mode():
        assert torch.equal(loaded(batch), model(batch))


@every_architecture
def test_training_steps_are_the_same_bits_twice(architecture: str) -> None:
    def trained() -> Tensor:
        model = build(architecture, WIDTH, seed=0)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        for step in range(2):
            optimizer.zero_grad()
            model(images(2, 3, 33, 47, seed=step)).square().mean().backward()
            optimizer.step()
        return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])

    with deterministic():
        assert torch.equal(trained(), trained())


@every_architecture
def test_the_memory_format_changes_only_the_rounding(architecture: str) -> None:
    model = settled(architecture)
    batch = images(2, 3, 33, 47)
    with torch.inference_mode():
        expected = model(batch)
        again = model.to(memory_format=torch.channels_last)(batch)
    torch.testing.assert_close(again, expected, rtol=0, atol=1e-4)


@every_architecture
def test_gradients_are_finite_under_bfloat16_autocast(architecture: str) -> None:
    model = build(architecture, WIDTH, seed=0).to(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(images(2, 3, 33, 47))
    assert logits.dtype == torch.bfloat16
    logits.float().square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


# SegNet: indices instead of features.


def test_segnet_has_2_2_3_3_3_convolutions_and_mirrors_them() -> None:
    model = build("segnet", 4, seed=0)
    encoder = [[conv.out_channels for conv in layers(stage, nn.Conv2d)] for stage in model.encoder]
    assert encoder == [[4, 4], [8, 8], [16, 16, 16], [32, 32, 32], [32, 32, 32]]
    decoder = [[conv.out_channels for conv in layers(stage, nn.Conv2d)] for stage in model.decoder]
    assert decoder == [[32, 32, 32], [32, 32, 16], [16, 16, 8], [8, 4], [4, 4]]


@pytest.mark.parametrize("size", [(8, 8), (9, 13), (2, 2), (32, 33)])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_put_back_equals_max_unpool2d_bit_for_bit(
    size: tuple[int, int], memory_format: torch.memory_format
) -> None:
    """With a batch of 3: an index counts within its own map, not through the batch."""
    x = noise(3, 4, *size).to(memory_format=memory_format)
    pooled, index = F.max_pool2d(x, 2, return_indices=True)
    expected = F.max_unpool2d(pooled, index, 2, output_size=size)
    assert torch.equal(put_back(pooled, index, torch.Size(size)), expected)


def test_the_gradient_of_put_back_equals_that_of_max_unpool2d() -> None:
    x, weight = noise(3, 4, 9, 13), noise(3, 4, 9, 13, seed=1)
    pooled, index = F.max_pool2d(x, 2, return_indices=True)
    pooled.requires_grad_()
    (ours,) = torch.autograd.grad((put_back(pooled, index, torch.Size((9, 13))) * weight).sum(), pooled)
    (theirs,) = torch.autograd.grad(
        (F.max_unpool2d(pooled, index, 2, output_size=(9, 13)) * weight).sum(), pooled
    )
    assert torch.equal(ours, theirs)


def test_put_back_runs_where_max_unpool2d_is_refused_as_not_deterministic() -> None:
    pooled, index = F.max_pool2d(noise(3, 4, 9, 13), 2, return_indices=True)
    with deterministic():
        with pytest.raises(RuntimeError, match="does not have a deterministic implementation"):
            F.max_unpool2d(pooled, index, 2, output_size=(9, 13))
        assert put_back(pooled, index, torch.Size((9, 13))).shape == (3, 4, 9, 13)


def test_three_quarters_of_an_unpooled_map_are_zero() -> None:
    pooled, index = F.max_pool2d(noise(3, 4, 8, 8), 2, return_indices=True)
    assert put_back(pooled, index, torch.Size((8, 8))).count_nonzero() == pooled.numel()


# UNet and what it is without its skips.


def test_unet_without_skips_has_fewer_parameters_by_what_read_the_concatenations() -> None:
    """A skip of c channels is read by one 3x3 convolution with c outputs: 9 c^2 weights."""
    whole, without = (build(text, WIDTH, seed=0) for text in ("unet", "unet:skips=false"))
    skipped = [WIDTH, 2 * WIDTH, 4 * WIDTH, 8 * WIDTH]
    assert num_parameters(whole) - num_parameters(without) == sum(9 * c * c for c in skipped)


@pytest.mark.parametrize(("architecture", "sees_details"), [("unet", True), ("unet:skips=false", False)])
def test_only_skips_bring_details_past_the_lowest_stage(architecture: str, sees_details: bool) -> None:
    """With the lowest feature maps cut off, the logits depend on the image through the skips alone."""
    model = settled(architecture)
    model.encoder[-1].register_forward_hook(lambda _module, _inputs, output: torch.zeros_like(output))
    with torch.inference_mode():
        differs = not torch.equal(model(images(1, 3, 64, 64, seed=1)), model(images(1, 3, 64, 64, seed=2)))
    assert differs == sees_details


def test_the_classic_unet_has_31_million_parameters() -> None:
    """Ronneberger's has 31.0 million: the same channels, 2x2 transposed convolutions, no batch norm."""
    with torch.device("meta"):
        assert num_parameters(MODELS["unet"].network(64)) == 31_384_833


# UNet2 and DilatedUNet: learned resizing.


@pytest.mark.parametrize("architecture", ["unet2", "dilated_unet"])
def test_every_resizing_is_learned(architecture: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_kwargs: object) -> Tensor:
        raise AssertionError("pooled or interpolated")

    for resizing in ("max_pool2d", "avg_pool2d", "interpolate"):
        monkeypatch.setattr(F, resizing, refuse)
    model = build(architecture, WIDTH, seed=0)
    assert model(images(1, 3, 33, 47)).shape == (1, 1, 33, 47)
    assert not layers(model, nn.MaxPool2d) + layers(model, nn.Upsample)


def test_unet_pools_and_interpolates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shows that the test above would notice."""

    def refuse(*_args: object, **_kwargs: object) -> Tensor:
        raise AssertionError("pooled or interpolated")

    monkeypatch.setattr(F, "interpolate", refuse)
    with pytest.raises(AssertionError, match="pooled or interpolated"):
        build("unet", WIDTH, seed=0)(images(1, 3, 33, 47))


@pytest.mark.parametrize(("architecture", "dilation"), [("unet2", 1), ("dilated_unet", 2)])
def test_the_resizing_layers_are_3x3_of_stride_2_and_keep_the_channels(
    architecture: str, dilation: int
) -> None:
    model = build(architecture, WIDTH, seed=0)
    assert len(model.down) == len(model.up) == 4
    for layer in [*model.down, *model.up]:
        assert layer.in_channels == layer.out_channels
        assert layer.kernel_size == (3, 3)
        assert layer.stride == (2, 2)
        assert layer.dilation == (dilation, dilation)
    assert all(isinstance(layer, nn.ConvTranspose2d) for layer in model.up)


def test_dilation_enlarges_the_field_of_view_without_adding_parameters() -> None:
    unet2, dilated = (build(name, WIDTH, seed=0) for name in ("unet2", "dilated_unet"))
    assert num_parameters(unet2) == num_parameters(dilated)
    assert {n: t.shape for n, t in unet2.state_dict().items()} == {
        n: t.shape for n, t in dilated.state_dict().items()
    }


SIZES = [(8, 8), (9, 13), (8, 9), (33, 47)]


@pytest.mark.parametrize("size", SIZES)
def test_dilated_down_equals_the_layer_it_stands_for(size: tuple[int, int]) -> None:
    layer = nn.Conv2d(4, 4, 3, stride=2, padding=2, dilation=2)
    x = noise(3, 4, *size)
    assert_same_function(lambda: layer(x), lambda: dilated_down(x, layer), x, layer)


@pytest.mark.parametrize("size", SIZES)
def test_dilated_up_equals_the_layer_it_stands_for(size: tuple[int, int]) -> None:
    layer = nn.ConvTranspose2d(4, 4, 3, stride=2, padding=2, dilation=2)
    x = noise(3, 4, (size[0] + 1) // 2, (size[1] + 1) // 2)
    assert_same_function(
        lambda: layer(x, output_size=size), lambda: dilated_up(x, layer, torch.Size(size)), x, layer
    )


def assert_same_function(
    theirs: Callable[[], Tensor], ours: Callable[[], Tensor], x: Tensor, layer: nn.Module
) -> None:
    """Equal values, and equal gradients of the input, the weights and the bias."""
    x.requires_grad_()
    wanted = [x, layer.weight, layer.bias]
    expected, value = theirs(), ours()
    torch.testing.assert_close(value, expected, rtol=0, atol=1e-5)
    weight = noise(*expected.shape, seed=1)
    expected_gradients = torch.autograd.grad((expected * weight).sum(), wanted)
    gradients = torch.autograd.grad((value * weight).sum(), wanted)
    torch.testing.assert_close(gradients, expected_gradients, rtol=1e-5, atol=1e-4)


def test_three_quarters_of_a_dilated_transposed_layers_output_are_its_bias() -> None:
    """Stride 2 and dilation 2 share a factor: only even rows and columns are ever reached."""
    layer = nn.ConvTranspose2d(2, 3, 3, stride=2, padding=2, dilation=2)
    out = layer(noise(2, 2, 8, 10), output_size=(16, 20))
    is_bias = out == layer.bias.view(1, 3, 1, 1)
    reached = torch.zeros(16, 20, dtype=torch.bool)
    reached[::2, ::2] = True
    assert torch.equal(is_bias, (~reached).expand_as(out))
    assert is_bias.float().mean() == 0.75


def test_without_dilation_a_transposed_layer_reaches_every_pixel() -> None:
    layer = nn.ConvTranspose2d(2, 3, 3, stride=2, padding=1)
    out = layer(noise(2, 2, 8, 10), output_size=(16, 20))
    assert not (out == layer.bias.view(1, 3, 1, 1)).any()


def test_a_dilated_strided_layer_never_reads_three_quarters_of_its_input() -> None:
    layer = nn.Conv2d(2, 3, 3, stride=2, padding=2, dilation=2)
    x = noise(1, 2, 16, 20).requires_grad_()
    (gradient,) = torch.autograd.grad(layer(x).sum(), x)
    assert (gradient != 0).float().mean() == 0.25
    assert (gradient[..., ::2, ::2] != 0).all()


# Names, options, sizes, and anyone's own network.


def test_an_unknown_architecture_is_told_the_choices() -> None:
    with pytest.raises(UserError, match="'unett': use one of segnet, unet, unet2, dilated_unet, unetpp"):
        build("unett", WIDTH, seed=0)


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        ("unet:skip=false", "unet has no option 'skip': its options are skips"),
        ("segnet:skips=false", "segnet has no option 'skips': its options are none"),
        ("unet:width=8", "unet has no option 'width'"),
        ("unet:skips=2", "unet: skips has another type than 2"),
        ("unet:skips", "'skips' is not of the form option=value"),
    ],
)
def test_an_option_that_is_none_is_told_the_choices(architecture: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        build(architecture, WIDTH, seed=0)


def test_options_at_their_defaults_give_the_same_network() -> None:
    assert str(resolve_architecture("unet:skips=true")[0]) == "unet"
    plain, spelled = build("unet", WIDTH, seed=0), build("unet:skips=true", WIDTH, seed=0)
    assert torch.equal(plain.state_dict()["head.weight"], spelled.state_dict()["head.weight"])


def test_images_of_less_than_32_px_are_refused() -> None:
    check_size(32, 33)
    with pytest.raises(UserError, match="image size 31x64 is too small"):
        check_size(31, 64)


OWN_NETWORK = """
from torch import nn

class MyNet(nn.Module):
    def __init__(self, width=16, depth=1):
        super().__init__()
        sizes = [3] + [width] * depth
        self.stages = nn.Sequential(*(nn.Conv2d(a, b, 3, padding=1) for a, b in zip(sizes, sizes[1:])))
        self.head = nn.Conv2d(width, 1, 1)

    def forward(self, image):
        return self.head(self.stages(image))

class Fixed(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Conv2d(3, 1, 1)

    def forward(self, image):
        return self.head(image)
"""


@pytest.fixture
def own_file(tmp_path: Path) -> Path:
    file = tmp_path / "my.py"
    file.write_text(OWN_NETWORK)
    return file


def test_a_users_own_network_gets_the_width_and_its_options(own_file: Path) -> None:
    model = build(f"{own_file}:MyNet:depth=3", 6, seed=0)
    assert [conv.out_channels for conv in layers(model, nn.Conv2d)] == [6, 6, 6, 1]
    assert model(images(1, 3, 32, 32)).shape == (1, 1, 32, 32)


def test_a_users_own_network_that_takes_no_width_gets_none(own_file: Path) -> None:
    assert num_parameters(build(f"{own_file}:Fixed", 6, seed=0)) == 4


def test_a_users_own_network_starts_from_the_same_weights_in_any_folder(
    own_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    copy = tmp_path / "elsewhere" / "my.py"
    copy.write_text(own_file.read_text())
    first, second = build(f"{own_file}:MyNet", 6, seed=1), build(f"{copy}:MyNet", 6, seed=1)
    assert torch.equal(first.state_dict()["head.weight"], second.state_dict()["head.weight"])


def test_the_numerics_of_a_users_own_network_are_the_hash_of_its_file(own_file: Path) -> None:
    _, before = resolve_architecture(f"{own_file}:MyNet")
    own_file.write_text(OWN_NETWORK + "# edited\n")
    assert resolve_architecture(f"{own_file}:MyNet")[1] != before
    assert resolve_architecture("unet")[1] == MODELS["unet"].numerics


@pytest.mark.parametrize(
    ("source", "message"),
    [("import nowhere_to_be_found", "cannot be imported"), ("x = 1", "has no class or function 'MyNet'")],
)
def test_a_users_file_that_does_not_work_is_said_in_one_line(
    tmp_path: Path, source: str, message: str
) -> None:
    file = tmp_path / "my.py"
    file.write_text(source)
    with pytest.raises(UserError, match=message) as caught:
        build(f"{file}:MyNet", WIDTH, seed=0)
    assert "\n" not in str(caught.value)


def test_concatenation_hands_packed_gradients_to_both_sides() -> None:
    skip = torch.randn(2, 3, 8, 8, requires_grad=True)
    x = torch.randn(2, 5, 8, 8, requires_grad=True)
    weight = torch.randn(2, 8, 8, 8)
    seen: dict[str, torch.Tensor] = {}
    for name, tensor in (("skip", skip), ("x", x)):
        tensor.register_hook(lambda gradient, name=name: seen.__setitem__(name, gradient))
    joined = concatenate(skip, x)
    assert torch.equal(joined, torch.cat([skip, x], dim=1))
    (joined * weight).sum().backward()
    assert torch.equal(seen["skip"], weight[:, :3])
    assert torch.equal(seen["x"], weight[:, 3:])
    assert all(gradient.is_contiguous(memory_format=torch.channels_last) for gradient in seen.values())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("size", [(8, 8), (9, 13)])
def test_pooling_for_a_gpu_is_pooling(
    size: tuple[int, int], layout: torch.memory_format, dtype: torch.dtype
) -> None:
    x = torch.randn(3, 4, *size).to(dtype).contiguous(memory_format=layout).requires_grad_()
    pooled, index = _MaxPool.apply(x)
    expected, where = F.max_pool2d(x, 2, return_indices=True)
    assert torch.equal(pooled, expected)
    assert torch.equal(index, where)
    weight = torch.randn_like(pooled)
    (ours,) = torch.autograd.grad((pooled * weight).sum(), x)
    (theirs,) = torch.autograd.grad((expected * weight).sum(), x)
    assert torch.equal(ours, theirs)
    back = put_back_by_comparison(pooled, index, x.shape[-2:])
    assert torch.equal(back, put_back(pooled, index, x.shape[-2:]))
    assert back.is_contiguous(memory_format=torch.channels_last)
    weight = torch.randn_like(back)
    (taken,) = torch.autograd.grad((back * weight).sum(), pooled)
    assert torch.equal(taken, weight.flatten(2).gather(2, index.flatten(2)).view_as(taken))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_doubling_for_a_gpu_is_nearest_upsampling(layout: torch.memory_format, dtype: torch.dtype) -> None:
    x = torch.randn(3, 4, 5, 7).to(dtype).contiguous(memory_format=layout).requires_grad_()
    ours, theirs = _Doubled.apply(x), F.interpolate(x, size=(10, 14), mode="nearest")
    assert torch.equal(ours, theirs)
    assert ours.is_contiguous(memory_format=torch.channels_last)
    weight = torch.randn_like(theirs)
    (of_ours,) = torch.autograd.grad((ours * weight).sum(), x)
    (of_theirs,) = torch.autograd.grad((theirs * weight).sum(), x)
    assert torch.equal(of_ours, of_theirs)
