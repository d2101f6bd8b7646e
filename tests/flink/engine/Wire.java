package org.apache.beam.runners.flink;

import org.apache.beam.model.pipeline.v1.RunnerApi;
import org.apache.beam.runners.fnexecution.wire.WireCoders;
import org.apache.beam.sdk.coders.Coder;
import org.apache.beam.sdk.util.construction.graph.PipelineNode;
import org.apache.beam.sdk.values.WindowedValue;

/** Coders of what travels between operators. */
final class Wire {
  private Wire() {}

  /** The coder that a runner uses for a PCollection: what only Python understands stays bytes. */
  static <T> Coder<WindowedValue<T>> coder(String collection, RunnerApi.Components components) {
    try {
      RunnerApi.PCollection found = components.getPcollectionsOrThrow(collection);
      return WireCoders.instantiateRunnerWireCoder(PipelineNode.pCollection(collection, found), components);
    } catch (Exception error) {
      throw new IllegalStateException("no coder for " + collection, error);
    }
  }

  static boolean sameCoder(String one, String other, RunnerApi.Components components) {
    return spell(components.getPcollectionsOrThrow(one).getCoderId(), components)
        .equals(spell(components.getPcollectionsOrThrow(other).getCoderId(), components));
  }

  private static String spell(String id, RunnerApi.Components components) {
    RunnerApi.Coder coder = components.getCodersOrThrow(id);
    StringBuilder text = new StringBuilder(coder.getSpec().getUrn()).append(coder.getSpec().getPayload().toStringUtf8()).append('(');
    coder.getComponentCoderIdsList().forEach(part -> text.append(spell(part, components)).append(','));
    return text.append(')').toString();
  }
}
