"""The files, each made by the library that users make it with."""

from dataclasses import replace
from functools import partial
from typing import Any

from benchmarks.teacher_files.checkpoints import lightning, timm_hub, timm_saver
from benchmarks.teacher_files.file import Content, File, Network
from benchmarks.teacher_files.keras_files import (
    from_function,
    from_keras,
    keras_export,
    of_applications,
    small,
)
from benchmarks.teacher_files.networks import of_registry, of_timm, of_torchvision
from benchmarks.teacher_files.onnx_files import (
    SIMPLIFIERS,
    external,
    optimized,
    quantized,
    simplified,
)
from benchmarks.teacher_files.torch_files import (
    dynamo,
    pickled,
    program,
    saved,
    script,
    scripted,
    whole,
)

Keys = dict[str, Any]
"""Keys of the run file's `teacher`."""

SCRIPT, DYNAMO = "torch.onnx.export, TorchScript", "torch.onnx.export, dynamo"

DIGIT, SMALL, COLOUR = (1, 28, 28), (3, 32, 32), (3, 64, 64)
"""Shapes of images."""

LENET: Network = partial(of_registry, "lenet5-bn", DIGIT)
RESNET: Network = partial(of_registry, "resnet20", SMALL)

GIVEN: Keys = {"architecture": "lenet5-bn"}
TRUSTED: Keys = {"trusted": True}

OF_TORCHVISION = (
    "convnext_tiny",
    "densenet121",
    "efficientnet_b0",
    "googlenet",
    "mnasnet0_5",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "regnet_y_400mf",
    "resnet18",
    "shufflenet_v2_x0_5",
    "squeezenet1_1",
    "swin_t",
)

OF_TIMM = (
    "convnext_atto",
    "efficientvit_b0",
    "fastvit_t8",
    "ghostnet_050",
    "mobilenetv4_conv_small",
    "mobilevit_xxs",
    "regnety_002",
    "repvgg_a0",
    "tf_efficientnet_lite0",
    "vit_tiny_patch16_224",
)

ARGUMENTS = {"vit_tiny_patch16_224": {"img_size": 64}}
"""Arguments of networks of timm."""

OF_KERAS = {"MobileNetV2": 1, "EfficientNetB0": 255, "MobileNetV3Small": 255}
"""Networks of keras.applications, with the largest value of their images."""


def _timm(name: str) -> Network:
    return partial(of_timm, name, **ARGUMENTS.get(name, {}))


def _exports() -> list[File]:
    found = [
        File(SCRIPT, f"{name}, opset 17", COLOUR, partial(of_torchvision, name), script)
        for name in OF_TORCHVISION
    ]
    found += [
        File(SCRIPT, f"timm {name}, opset 17", COLOUR, _timm(name), script, needs=("timm",))
        for name in OF_TIMM
    ]
    for opset in (11, 13, 17):
        content: Content = partial(script, opset=opset)
        found.append(File(SCRIPT, f"resnet20, opset {opset}", SMALL, RESNET, content))
    one = partial(script, free=False)
    vit, needs = _timm("mobilevit_xxs"), ("timm",)
    found += [
        File(SCRIPT, "resnet20, batch norms kept", SMALL, RESNET, partial(script, keep=True)),
        File(SCRIPT, "resnet20, batch of 1", SMALL, RESNET, one),
        File(SCRIPT, "timm mobilevit_xxs, batch of 1", COLOUR, vit, one, needs=needs, refused=True),
    ]
    for opset in (18, 21):
        content = partial(dynamo, opset=opset)
        found.append(File(DYNAMO, f"lenet5-bn, opset {opset}", DIGIT, LENET, content))
    return found


def _changed_graphs() -> list[File]:
    basic, extended = partial(optimized, level="BASIC"), partial(optimized, level="EXTENDED")
    found = [
        File("ONNX Runtime, basic", "resnet20", SMALL, RESNET, basic),
        File("ONNX Runtime, extended", "resnet20", SMALL, RESNET, extended, refused=True),
        File("ONNX Runtime, quantized", "lenet5-bn", DIGIT, LENET, quantized, refused=True),
        File("onnx.save, external data", "lenet5-bn", DIGIT, LENET, external, refused=True),
    ]
    networks = {name: partial(of_torchvision, name) for name in ("mobilenet_v3_small", "swin_t")}
    vit, new = _timm("mobilevit_xxs"), partial(dynamo, opset=18)
    for tool in SIMPLIFIERS:
        old, needs = partial(simplified, tool=tool), (tool,)
        found += [
            *(File(tool, n, COLOUR, network, old, needs=needs) for n, network in networks.items()),
            File(tool, "timm mobilevit_xxs", COLOUR, vit, old, needs=(tool, "timm")),
            File(tool, "lenet5-bn, dynamo", DIGIT, LENET, partial(old, export=new), needs=needs),
        ]
    return found


def _keras() -> list[File]:
    needs = ("tf2onnx", "tensorflow", "keras")
    kind, first = "tf2onnx, from_keras", partial(from_keras, channels_first=True)
    rescaling = partial(small, rescales=True)
    function = partial(
        File,
        "tf2onnx, from_function",
        shape=SMALL,
        network=rescaling,
        largest=255,
        needs=needs,
    )
    uint8, both = partial(from_function, dtype="uint8"), partial(from_function, with_class=True)
    chosen = {"output": "probabilities"}
    return [
        File(kind, "small", SMALL, small, from_keras, needs=needs),
        File(kind, "small, opset 13", SMALL, small, partial(from_keras, opset=13), needs=needs),
        File(kind, "small, channels first", SMALL, small, first, needs=needs),
        *(
            File(
                kind,
                name,
                COLOUR,
                partial(of_applications, name),
                from_keras,
                largest=largest,
                needs=needs,
            )
            for name, largest in OF_KERAS.items()
        ),
        File("keras, export", "small", SMALL, small, keras_export, needs=needs),
        function("small with softmax", content=from_function),
        function("small with softmax, uint8", content=uint8),
        function("small with softmax and argmax", content=both, teacher=chosen),
        function("small with softmax and argmax, no output", content=both, refused=True),
    ]


def _programs() -> list[File]:
    traced, compiled = partial(scripted, traced=True), partial(scripted, traced=False)
    kind, trace, untrusted = "torch.export.save", "torch.jit.trace", "lenet5-bn, not trusted"
    return [
        File(kind, "lenet5-bn", DIGIT, LENET, program, ".pt2", TRUSTED),
        File(kind, untrusted, DIGIT, LENET, program, ".pt2", refused=True),
        File("torch.jit.script", "lenet5-bn", DIGIT, LENET, compiled, ".pt", TRUSTED),
        File(trace, "lenet5-bn", DIGIT, LENET, traced, ".pt", TRUSTED),
        File(trace, untrusted, DIGIT, LENET, traced, ".pt", refused=True),
    ]


def _weights() -> list[File]:
    kind, missing = "torch.save, state dict", "lenet5-bn, no architecture"
    return [
        File(kind, "lenet5-bn", DIGIT, LENET, pickled, ".pt", GIVEN),
        File(kind, missing, DIGIT, LENET, pickled, ".pt", refused=True),
        File("torch.save, network", "lenet5-bn", DIGIT, LENET, whole, ".pt", GIVEN, refused=True),
        File("safetensors", "lenet5-bn", DIGIT, LENET, saved, ".safetensors", GIVEN),
    ]


def _of_lightning() -> list[File]:
    make = partial(
        File,
        "Lightning, ModelCheckpoint",
        shape=DIGIT,
        network=LENET,
        suffix=".ckpt",
        needs=("pytorch_lightning", "torchmetrics"),
    )
    averaged, held = partial(lightning, averaged=True), partial(lightning, holds_network=True)
    keyed = {**GIVEN, "weights_key": "state_dict"}
    no_key = "lenet5-bn, averaged weights, no key"
    return [
        make("lenet5-bn", content=lightning, teacher=GIVEN),
        make("lenet5-bn, averaged weights", content=averaged, teacher=keyed),
        make(no_key, content=averaged, teacher=GIVEN, refused=True),
        make("lenet5-bn, network as hyperparameter", content=held, teacher=GIVEN, refused=True),
    ]


def _of_timm() -> list[File]:
    plain, averaged = partial(timm_saver, averaged=False), partial(timm_saver, averaged=True)
    keyed = _weights_of_timm("resnet18", averaged, weights_key="state_dict_ema")
    no_key = _weights_of_timm("resnet18", averaged)
    vit = "vit_tiny_patch16_224"
    return [
        _weights_of_timm("mobilenetv3_small_050", plain),
        _weights_of_timm("resnet18", plain),
        replace(keyed, name="resnet18, averaged weights"),
        replace(no_key, name="resnet18, averaged weights, no key", refused=True),
        _weights_of_timm("convnext_atto", timm_hub),
        _weights_of_timm(vit, timm_hub, factory_arguments=ARGUMENTS[vit]),
    ]


def _weights_of_timm(model: str, content: Content, **keys: Any) -> File:
    return File(
        "timm, save_for_hf" if content is timm_hub else "timm, CheckpointSaver",
        model,
        COLOUR,
        _timm(model),
        content,
        ".safetensors" if content is timm_hub else ".pth.tar",
        {"architecture": f"timm:{model}", **keys},
        needs=("timm",),
    )


FILES = [
    *_exports(),
    *_changed_graphs(),
    *_keras(),
    *_programs(),
    *_weights(),
    *_of_lightning(),
    *_of_timm(),
]
