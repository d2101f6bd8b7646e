package org.apache.beam.runners.flink;

import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.apache.beam.model.fnexecution.v1.BeamFnApi.StateKey;
import org.apache.beam.model.pipeline.v1.RunnerApi;
import org.apache.beam.runners.fnexecution.control.BundleProgressHandler;
import org.apache.beam.runners.fnexecution.control.OutputReceiverFactory;
import org.apache.beam.runners.fnexecution.control.RemoteBundle;
import org.apache.beam.runners.fnexecution.control.StageBundleFactory;
import org.apache.beam.runners.fnexecution.provisioning.JobInfo;
import org.apache.beam.runners.fnexecution.state.StateRequestHandler;
import org.apache.beam.runners.fnexecution.state.StateRequestHandlers;
import org.apache.beam.runners.fnexecution.translation.BatchSideInputHandlerFactory;
import org.apache.beam.sdk.coders.Coder;
import org.apache.beam.sdk.fn.data.FnDataReceiver;
import org.apache.beam.sdk.util.CoderUtils;
import org.apache.beam.sdk.util.construction.graph.ExecutableStage;
import org.apache.beam.sdk.values.WindowedValue;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.BoundedMultiInput;
import org.apache.flink.streaming.api.operators.BoundedOneInput;
import org.apache.flink.streaming.api.operators.InputSelectable;
import org.apache.flink.streaming.api.operators.InputSelection;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.api.operators.TwoInputStreamOperator;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.util.OutputTag;

/**
 * A fused stage in a Python worker. All that a subtask is given is one bundle: where it fails, Flink runs the subtask again, and
 * nothing of the failed one has been seen by others, since results of a batch job are handed on when they are whole.
 */
abstract class Stage extends AbstractStreamOperator<byte[]> {
  private final JobInfo job;
  private final RunnerApi.ExecutableStagePayload payload;
  private final RunnerApi.Components components;
  private final List<OutputTag<byte[]>> tags; // their ids are the names of the output PCollections

  private transient Workers.Lease workers;
  private transient ExecutableStage stage;
  private transient StageBundleFactory bundles;
  private transient Coder<WindowedValue<Object>> coder;
  private transient ConcurrentLinkedQueue<Tuple2<Integer, byte[]>> made; // by threads of the harness library
  private transient RemoteBundle bundle;
  private transient FnDataReceiver<WindowedValue<?>> receiver;

  Stage(JobInfo job, RunnerApi.ExecutableStagePayload payload, RunnerApi.Components components, List<OutputTag<byte[]>> tags) {
    this.job = job;
    this.payload = payload;
    this.components = components;
    this.tags = tags;
  }

  /** What a side input's PCollection holds. */
  abstract List<byte[]> side(String collection);

  @Override
  public void open() throws Exception {
    super.open();
    workers = Workers.lease(job);
    stage = ExecutableStage.fromPayload(payload);
    bundles = workers.factory().forStage(stage);
    coder = Wire.coder(payload.getInput(), components);
    made = new ConcurrentLinkedQueue<>();
  }

  void process(byte[] bytes) throws Exception {
    if (bundle == null) {
      begin();
    }
    receiver.accept(CoderUtils.decodeFromByteArray(coder, bytes));
    drain();
  }

  void finishBundle() throws Exception {
    if (bundle != null) {
      bundle.close(); // waits for the worker
      bundle = null;
      drain();
    }
  }

  @Override
  public void close() throws Exception {
    try {
      if (bundles != null) {
        bundles.close();
      }
    } finally {
      if (workers != null) {
        workers.release(bundle == null);
      }
      super.close();
    }
  }

  @SuppressWarnings("unchecked")
  private void begin() throws Exception {
    Map<String, Integer> indices = new HashMap<>();
    Map<String, Coder<WindowedValue<Object>>> coders = new HashMap<>();
    for (int i = 0; i < tags.size(); i++) {
      indices.put(tags.get(i).getId(), i);
      coders.put(tags.get(i).getId(), Wire.coder(tags.get(i).getId(), components));
    }
    OutputReceiverFactory outputs =
        new OutputReceiverFactory() {
          @Override
          public <T> FnDataReceiver<T> create(String collection) {
            int index = indices.get(collection);
            Coder<WindowedValue<Object>> written = coders.get(collection);
            return element ->
                made.add(Tuple2.of(index, CoderUtils.encodeToByteArray(written, (WindowedValue<Object>) element)));
          }
        };
    bundle = bundles.getBundle(outputs, state(), BundleProgressHandler.ignored());
    receiver = Collections.unmodifiableCollection(bundle.getInputReceivers().values()).iterator().next();
  }

  private StateRequestHandler state() throws Exception {
    if (stage.getSideInputs().isEmpty()) {
      return StateRequestHandler.unsupported();
    }
    StateRequestHandler sides =
        StateRequestHandlers.forSideInputHandlerFactory(
            bundles.getProcessBundleDescriptor().getSideInputSpecs(),
            BatchSideInputHandlerFactory.forStage(stage, this::decoded));
    EnumMap<StateKey.TypeCase, StateRequestHandler> handlers = new EnumMap<>(StateKey.TypeCase.class);
    handlers.put(StateKey.TypeCase.ITERABLE_SIDE_INPUT, sides);
    handlers.put(StateKey.TypeCase.MULTIMAP_SIDE_INPUT, sides);
    return StateRequestHandlers.delegateBasedUponType(handlers);
  }

  @SuppressWarnings("unchecked")
  private <T> List<T> decoded(String collection) {
    Coder<WindowedValue<Object>> written = Wire.coder(collection, components);
    List<T> values = new ArrayList<>();
    for (byte[] bytes : side(collection)) {
      try {
        values.add((T) CoderUtils.decodeFromByteArray(written, bytes));
      } catch (Exception error) {
        throw new IllegalStateException("side input " + collection, error);
      }
    }
    return values;
  }

  private void drain() {
    for (Tuple2<Integer, byte[]> one = made.poll(); one != null; one = made.poll()) {
      output.collect(tags.get(one.f0), new StreamRecord<>(one.f1));
    }
  }

  /** A stage without side inputs. */
  static final class Alone extends Stage implements OneInputStreamOperator<byte[], byte[]>, BoundedOneInput {
    Alone(JobInfo job, RunnerApi.ExecutableStagePayload payload, RunnerApi.Components components, List<OutputTag<byte[]>> tags) {
      super(job, payload, components, tags);
    }

    @Override
    List<byte[]> side(String collection) {
      throw new IllegalArgumentException(collection);
    }

    @Override
    public void processElement(StreamRecord<byte[]> record) throws Exception {
      process(record.getValue());
    }

    @Override
    public void endInput() throws Exception {
      finishBundle();
    }
  }

  /** A stage with side inputs, (index, element), which are read to their end before its first element is. */
  static final class Beside extends Stage
      implements TwoInputStreamOperator<byte[], Tuple2<Integer, byte[]>, byte[]>, InputSelectable, BoundedMultiInput {
    private final List<String> sides;
    private transient List<List<byte[]>> held;
    private transient boolean ready;

    Beside(
        JobInfo job,
        RunnerApi.ExecutableStagePayload payload,
        RunnerApi.Components components,
        List<OutputTag<byte[]>> tags,
        List<String> sides) {
      super(job, payload, components, tags);
      this.sides = sides;
    }

    @Override
    public void open() throws Exception {
      super.open();
      held = new ArrayList<>();
      sides.forEach(side -> held.add(new ArrayList<>()));
    }

    @Override
    List<byte[]> side(String collection) {
      return held.get(sides.indexOf(collection));
    }

    @Override
    public InputSelection nextSelection() {
      return ready ? InputSelection.FIRST : InputSelection.SECOND;
    }

    @Override
    public void processElement1(StreamRecord<byte[]> record) throws Exception {
      process(record.getValue());
    }

    @Override
    public void processElement2(StreamRecord<Tuple2<Integer, byte[]>> record) {
      held.get(record.getValue().f0).add(record.getValue().f1);
    }

    @Override
    public void endInput(int input) throws Exception {
      if (input == 2) {
        ready = true;
      } else {
        finishBundle();
      }
    }
  }
}
