package org.apache.beam.runners.flink;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.beam.model.pipeline.v1.RunnerApi;
import org.apache.beam.sdk.coders.Coder;
import org.apache.beam.sdk.coders.KvCoder;
import org.apache.beam.sdk.transforms.windowing.PaneInfo;
import org.apache.beam.sdk.util.CoderUtils;
import org.apache.beam.sdk.values.KV;
import org.apache.beam.sdk.values.WindowedValue;
import org.apache.beam.sdk.values.WindowedValues;
import org.apache.flink.api.common.functions.FlatMapFunction;
import org.apache.flink.api.java.functions.KeySelector;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.BoundedOneInput;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.util.Collector;

/** Group by key: elements are parted into key and value, sent where the key's hash says, and gathered until there are no more. */
final class Group {
  private Group() {}

  private static KvCoder<Object, Object> pairs(Coder<WindowedValue<KV<Object, Object>>> coder) {
    return (KvCoder<Object, Object>) ((WindowedValues.WindowedValueCoder<KV<Object, Object>>) coder).getValueCoder();
  }

  static final class Part implements FlatMapFunction<byte[], Tuple2<byte[], byte[]>> {
    private final String input;
    private final RunnerApi.Components components;
    private transient Coder<WindowedValue<KV<Object, Object>>> coder;

    Part(String input, RunnerApi.Components components) {
      this.input = input;
      this.components = components;
    }

    @Override
    public void flatMap(byte[] bytes, Collector<Tuple2<byte[], byte[]>> out) throws Exception {
      if (coder == null) {
        coder = Wire.coder(input, components);
      }
      KV<Object, Object> pair = CoderUtils.decodeFromByteArray(coder, bytes).getValue();
      KvCoder<Object, Object> parts = pairs(coder);
      out.collect(
          Tuple2.of(
              CoderUtils.encodeToByteArray(parts.getKeyCoder(), pair.getKey()),
              CoderUtils.encodeToByteArray(parts.getValueCoder(), pair.getValue())));
    }
  }

  static final class Hash implements KeySelector<Tuple2<byte[], byte[]>, Integer> {
    @Override
    public Integer getKey(Tuple2<byte[], byte[]> pair) {
      int hash = Arrays.hashCode(pair.f0);
      return hash ^ (hash >>> 16); // keys that differ at one place only would else meet in few parts
    }
  }

  static final class Gather extends AbstractStreamOperator<byte[]>
      implements OneInputStreamOperator<Tuple2<byte[], byte[]>, byte[]>, BoundedOneInput {
    private final String input;
    private final String target;
    private final RunnerApi.Components components;
    private transient Map<ByteBuffer, List<byte[]>> groups;

    Gather(String input, String target, RunnerApi.Components components) {
      this.input = input;
      this.target = target;
      this.components = components;
    }

    @Override
    public void open() throws Exception {
      super.open();
      groups = new LinkedHashMap<>();
    }

    @Override
    public void processElement(StreamRecord<Tuple2<byte[], byte[]>> record) {
      Tuple2<byte[], byte[]> pair = record.getValue();
      groups.computeIfAbsent(ByteBuffer.wrap(pair.f0), key -> new ArrayList<>()).add(pair.f1);
    }

    @Override
    public void endInput() throws Exception {
      Coder<WindowedValue<KV<Object, Object>>> from = Wire.coder(input, components);
      KvCoder<Object, Object> parts = pairs(from);
      Coder<WindowedValue<KV<Object, Iterable<Object>>>> to = Wire.coder(target, components);
      for (Map.Entry<ByteBuffer, List<byte[]>> group : groups.entrySet()) {
        List<Object> values = new ArrayList<>();
        for (byte[] value : group.getValue()) {
          values.add(CoderUtils.decodeFromByteArray(parts.getValueCoder(), value));
        }
        KV<Object, Iterable<Object>> pair =
            KV.of(CoderUtils.decodeFromByteArray(parts.getKeyCoder(), group.getKey().array()), values);
        byte[] bytes =
            CoderUtils.encodeToByteArray(
                to, WindowedValues.valueInGlobalWindow(pair, PaneInfo.ON_TIME_AND_ONLY_FIRING));
        output.collect(new StreamRecord<>(bytes));
      }
      groups.clear();
    }
  }
}
