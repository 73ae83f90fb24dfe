"""What the ONNX parser of TensorRT takes: operators, their types, and the restrictions that it states.

Sources: the operator support matrices that NVIDIA publishes with its parser (onnx/onnx-tensorrt, docs/operators.md).
For 10.x that of release 10.1, the newest at hand below the 10.3 of JetPack 6; that of 10.15 only adds to it. For 11.x
that of 10.15, the last at hand, with opsets up to the 24 of 11.2 (NVIDIA's "ONNX Opset Guide" for 11.x says 25). INT8,
FP8, FP4 and INT4 exist between quantizers only, UINT8 at the network's border only (same documents). On the board the
parser itself has the last word: build_engine.py lists all that it refuses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

_FLOATS = ("FP32", "FP16", "BF16")
_NUMBERS = (*_FLOATS, "INT32", "INT64")
_ALL = (*_NUMBERS, "BOOL")

Types = tuple[str, ...]


@dataclass(frozen=True)
class OperatorTable:
    """The matrix of one major version.

    Fields:
        name: of the versions, `10.x`.
        source: release whose matrix this is.
        opsets: first and last that it takes.
        types: of each supported operator's data; a name that is absent is not supported.
        constants: operators with the numbers of the inputs that must be constants.
        zero_points: operators whose zero point must be zero.
        elsewhere: operators with a restriction that is not checked here, in the matrix's sense.
    """

    name: str
    source: str
    opsets: tuple[int, int]
    types: Mapping[str, Types]
    constants: Mapping[str, tuple[int, ...]]
    zero_points: frozenset[str] = frozenset({"QuantizeLinear", "DequantizeLinear"})
    elsewhere: Mapping[str, str] = field(default_factory=dict)


def _rows(groups: dict[Types, str]) -> dict[str, Types]:
    return {name: types for types, names in groups.items() for name in names.split()}


_REDUCTIONS = (
    "ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare"
)
_BOTH = _rows(
    {
        _NUMBERS: "Abs Add ArgMax ArgMin DepthToSpace Div Equal Greater GreaterOrEqual IsNaN Less LessOrEqual Max Min "
        "Mod Mul Neg Pad Range Relu Scatter ScatterElements ScatterND Shrink Sign SpaceToDepth Sub Sum TopK "
        + _REDUCTIONS,
        _FLOATS: "Acos Acosh Asin Asinh Atan Atanh AveragePool BatchNormalization Ceil Celu Clip Conv ConvTranspose "
        "Cos Cosh CumSum Dropout Einsum Elu Erf Exp Floor Gemm GlobalAveragePool GlobalLpPool GlobalMaxPool "
        "GroupNormalization GRU HardSigmoid HardSwish Hardmax ImageScaler InstanceNormalization IsInf "
        "LayerNormalization LeakyRelu Log LogSoftmax LRN LSTM LpNormalization LpPool MatMul MaxPool "
        "MeanVarianceNormalization ParametricSoftplus PRelu QuantizeLinear RandomNormal RandomNormalLike "
        "RandomUniform RandomUniformLike Reciprocal Resize RNN Round ScaledTanh Scan Selu Sigmoid Sin Sinh Softmax "
        "Softplus Softsign Sqrt Tan Tanh ThresholdedRelu Upsample",
        _ALL: "Expand EyeLike Flatten Gather GatherElements GatherND Identity If Loop OneHot Concat Reshape "
        "ReverseSequence Shape Size Slice Split Squeeze Tile Transpose Trilu Unsqueeze Where",
        ("BOOL",): "And Not Or Xor",
        ("FP32", "FP16"): "DeformConv GridSample Mish NonMaxSuppression NonZero RoiAlign",
        (*_ALL, "UINT8"): "Cast CastLike",
        (*_NUMBERS, "INT8"): "Gelu",
        (*_NUMBERS, "FP8"): "Mean",
    }
)
_TEN = _BOTH | _rows({_ALL: "Constant ConstantOfShape", _FLOATS: "Pow", ("INT8", "FP8", "INT4"): "DequantizeLinear"})
_ELEVEN = _BOTH | _rows(
    {
        (*_ALL, "FP8", "FP4", "INT4"): "Constant ConstantOfShape",
        _NUMBERS: "Pow",
        ("INT8", "FP8", "FP4", "INT4"): "DequantizeLinear",
        (*_FLOATS, "INT8", "FP8"): "Attention",
        ("FP32", "FP16"): "BlackmanWindow HammingWindow HannWindow",
        _FLOATS: "RMSNormalization RotaryEmbedding",
        (*_FLOATS, "INT32"): "TensorScatter",
        ("FP32",): "STFT",
    }
)
_AXES = dict.fromkeys(("Squeeze", "Unsqueeze", "CumSum", "OneHot", *_REDUCTIONS.split()), (1,))
_ELSEWHERE = {
    "AveragePool": "2 or 3 spatial dimensions without dilations",
    "DeformConv": "1 or 2 spatial dimensions and equal pads",
    "Dropout": "training switched off by an initializer",
    "GridSample": "4 dimensions",
    "GRU": "one activation for both directions",
    "If": "branches whose outputs have one rank",
    "LayerNormalization": "the first output only",
    "Loop": "static lengths and shapes",
    "LpPool": "no dilations",
    "LSTM": "no coupled gates, the first layout",
    "MaxPool": "2 or 3 spatial dimensions, no indices",
    "Resize": "some modes only",
    "RNN": "one activation for both directions",
    "ScatterND": "no reduction",
    "TopK": "sorted, fewer than 3,840",
}
TABLES = (
    OperatorTable("10.x", "10.1", (9, 20), _TEN, _AXES | {"Slice": (3,), "Pad": (3,)}, elsewhere=_ELSEWHERE),
    OperatorTable(
        "11.x",
        "10.15, opsets of 11.2",
        (9, 24),
        _ELEVEN,
        _AXES,
        elsewhere=_ELSEWHERE | {"Attention": "4 dimensions, no past", "STFT": "real input, constant window"},
    ),
)
"""What a bundle is checked against: both, since one bundle serves both."""
