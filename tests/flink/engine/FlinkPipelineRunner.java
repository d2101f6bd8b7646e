package org.apache.beam.runners.flink;

import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.apache.beam.model.pipeline.v1.RunnerApi;
import org.apache.beam.runners.fnexecution.provisioning.JobInfo;
import org.apache.beam.sdk.coders.Coder;
import org.apache.beam.sdk.util.CoderUtils;
import org.apache.beam.sdk.util.construction.PTransformTranslation;
import org.apache.beam.sdk.util.construction.graph.ExecutableStage;
import org.apache.beam.sdk.util.construction.graph.GreedyPipelineFuser;
import org.apache.beam.sdk.util.construction.graph.PipelineNode.PTransformNode;
import org.apache.beam.sdk.util.construction.graph.QueryablePipeline;
import org.apache.beam.sdk.values.WindowedValue;
import org.apache.beam.sdk.values.WindowedValues;
import org.apache.beam.vendor.grpc.v1p69p0.com.google.protobuf.Message;
import org.apache.beam.vendor.grpc.v1p69p0.com.google.protobuf.Struct;
import org.apache.beam.vendor.grpc.v1p69p0.com.google.protobuf.Value;
import org.apache.beam.vendor.grpc.v1p69p0.com.google.protobuf.util.JsonFormat;
import org.apache.flink.api.common.RuntimeExecutionMode;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.util.OutputTag;

/**
 * Runs a portable Beam pipeline as a Flink job, in batch: a stand-in for Beam's own runner where no package index serves that.
 *
 * <p>Beam's Python FlinkRunner uploads a jar with the pipeline in it and asks for a class of this name. What runs Python is Beam's
 * own harness library, what schedules and recovers is Flink; here is only what lies between, for the transforms that bounded
 * pipelines in the global window are made of: impulse, fused stages with iterable side inputs, group by key, flatten.
 *
 * <p>An element between two operators is the bytes of its WindowedValue in the coder that the runner knows of its PCollection.
 */
public final class FlinkPipelineRunner {
  static final TypeInformation<byte[]> BYTES = PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO;
  private static final String FOLDER = "BEAM-PIPELINE/pipeline/";

  private final StreamExecutionEnvironment flink;
  private final JobInfo job;
  private final RunnerApi.Components components;
  private final Map<String, DataStream<byte[]>> streams = new HashMap<>(); // by PCollection

  private FlinkPipelineRunner(StreamExecutionEnvironment flink, JobInfo job, RunnerApi.Components components) {
    this.flink = flink;
    this.job = job;
    this.components = components;
  }

  public static void main(String[] arguments) throws Exception {
    RunnerApi.Pipeline.Builder pipeline = RunnerApi.Pipeline.newBuilder();
    Struct.Builder options = Struct.newBuilder();
    read("pipeline.json", pipeline);
    read("pipeline-options.json", options);
    RunnerApi.Pipeline fused = GreedyPipelineFuser.fuse(pipeline.build()).toPipeline();
    String name = option(options, "job_name", "beam");
    JobInfo job = JobInfo.create(UUID.randomUUID().toString(), name, "", options.build());

    StreamExecutionEnvironment flink = StreamExecutionEnvironment.getExecutionEnvironment();
    flink.setRuntimeMode(RuntimeExecutionMode.BATCH);
    int parallelism = (int) Double.parseDouble(option(options, "parallelism", "-1"));
    if (parallelism > 0) {
      flink.setParallelism(parallelism);
    }
    FlinkPipelineRunner runner = new FlinkPipelineRunner(flink, job, fused.getComponents());
    QueryablePipeline graph = QueryablePipeline.forTransforms(fused.getRootTransformIdsList(), fused.getComponents());
    for (PTransformNode node : graph.getTopologicallyOrderedTransforms()) {
      runner.add(node.getTransform());
    }
    flink.execute(name);
  }

  private static void read(String file, Message.Builder into) throws Exception {
    try (InputStream stream = Thread.currentThread().getContextClassLoader().getResourceAsStream(FOLDER + file)) {
      JsonFormat.parser().ignoringUnknownFields().merge(new InputStreamReader(stream, StandardCharsets.UTF_8), into);
    }
  }

  private static String option(Struct.Builder options, String name, String otherwise) {
    Value value = options.getFieldsMap().get("beam:option:" + name + ":v1");
    if (value == null) {
      return otherwise;
    }
    return value.hasNumberValue() ? Double.toString(value.getNumberValue()) : value.getStringValue();
  }

  private void add(RunnerApi.PTransform transform) throws Exception {
    switch (transform.getSpec().getUrn()) {
      case PTransformTranslation.IMPULSE_TRANSFORM_URN -> impulse(transform);
      case PTransformTranslation.FLATTEN_TRANSFORM_URN -> flatten(transform);
      case PTransformTranslation.GROUP_BY_KEY_TRANSFORM_URN -> group(transform);
      case ExecutableStage.URN -> stage(transform);
      default -> throw new UnsupportedOperationException(transform.getSpec().getUrn() + ": " + transform.getUniqueName());
    }
  }

  private static String only(Map<String, String> collections) {
    if (collections.size() != 1) {
      throw new IllegalArgumentException("one PCollection expected, got " + collections);
    }
    return collections.values().iterator().next();
  }

  private void impulse(RunnerApi.PTransform transform) throws Exception {
    String output = only(transform.getOutputsMap());
    Coder<WindowedValue<byte[]>> coder = Wire.coder(output, components);
    byte[] element = CoderUtils.encodeToByteArray(coder, WindowedValues.valueInGlobalWindow(new byte[0]));
    streams.put(output, flink.fromData(BYTES, element).name(transform.getUniqueName()).rebalance());
  }

  private void flatten(RunnerApi.PTransform transform) {
    String output = only(transform.getOutputsMap());
    DataStream<byte[]> all = null;
    for (String input : transform.getInputsMap().values()) {
      if (!Wire.sameCoder(input, output, components)) { // the bytes would mean something else behind the union
        throw new UnsupportedOperationException("coders differ at " + transform.getUniqueName());
      }
      all = all == null ? streams.get(input) : all.union(streams.get(input));
    }
    // A stream of its own even where there is one input: PCollections of different names may meet in a union again.
    streams.put(output, all == null ? flink.fromData(BYTES).name(transform.getUniqueName()) : all.map(x -> x).returns(BYTES));
  }

  private void group(RunnerApi.PTransform transform) {
    String input = only(transform.getInputsMap());
    String output = only(transform.getOutputsMap());
    String name = transform.getUniqueName();
    TypeInformation<Tuple2<byte[], byte[]>> pair = Types.TUPLE(BYTES, BYTES);
    DataStream<byte[]> grouped =
        streams
            .get(input)
            .flatMap(new Group.Part(input, components))
            .returns(pair)
            .name("key " + name)
            .partitionCustom((hash, parts) -> Math.floorMod(hash, parts), new Group.Hash())
            .transform(name, BYTES, new Group.Gather(input, output, components));
    streams.put(output, grouped);
  }

  private void stage(RunnerApi.PTransform transform) throws Exception {
    RunnerApi.ExecutableStagePayload payload = RunnerApi.ExecutableStagePayload.parseFrom(transform.getSpec().getPayload());
    List<String> outputs = new ArrayList<>(transform.getOutputsMap().values());
    List<OutputTag<byte[]>> tags = new ArrayList<>();
    outputs.forEach(output -> tags.add(new OutputTag<>(output, BYTES)));
    List<String> sides = new ArrayList<>();
    ExecutableStage.fromPayload(payload).getSideInputs().stream()
        .map(side -> side.collection().getId())
        .distinct()
        .forEach(sides::add);

    DataStream<byte[]> main = streams.get(payload.getInput());
    SingleOutputStreamOperator<byte[]> done;
    if (sides.isEmpty()) {
      done = main.transform(transform.getUniqueName(), BYTES, new Stage.Alone(job, payload, components, tags));
    } else {
      DataStream<Tuple2<Integer, byte[]>> all = null;
      for (int i = 0; i < sides.size(); i++) {
        int index = i;
        DataStream<Tuple2<Integer, byte[]>> side =
            streams.get(sides.get(i)).map(bytes -> Tuple2.of(index, bytes)).returns(Types.TUPLE(Types.INT, BYTES));
        all = all == null ? side : all.union(side);
      }
      done =
          main.connect(all.broadcast())
              .transform(transform.getUniqueName(), BYTES, new Stage.Beside(job, payload, components, tags, sides));
    }
    for (int i = 0; i < outputs.size(); i++) {
      streams.put(outputs.get(i), done.getSideOutput(tags.get(i)));
    }
  }
}
