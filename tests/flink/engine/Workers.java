package org.apache.beam.runners.flink;

import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.apache.beam.runners.fnexecution.control.DefaultJobBundleFactory;
import org.apache.beam.runners.fnexecution.control.JobBundleFactory;
import org.apache.beam.runners.fnexecution.provisioning.JobInfo;

/** The Python workers of a task manager: one set a job, shared by its subtasks, since each has to load the networks. */
final class Workers {
  private static final int LINGER = 30; // seconds without a subtask, after which workers end; the stages of a job are nearer
  private static final Map<String, Workers> JOBS = new HashMap<>();
  private static final ScheduledExecutorService LATER =
      Executors.newSingleThreadScheduledExecutor(
          task -> {
            Thread thread = new Thread(task, "end of workers");
            thread.setDaemon(true);
            return thread;
          });

  private final String job;
  private final JobBundleFactory factory;
  private int leases;

  private Workers(JobInfo job) {
    this.job = job.jobId();
    this.factory = DefaultJobBundleFactory.create(job);
  }

  static synchronized Lease lease(JobInfo job) {
    Workers workers = JOBS.computeIfAbsent(job.jobId(), id -> new Workers(job));
    workers.leases++;
    return workers.new Lease();
  }

  final class Lease {
    JobBundleFactory factory() {
      return factory;
    }

    /** A worker that is left in the middle of a bundle is dead, or holds half the bundle for ever: the next subtask gets others. */
    void release(boolean idle) {
      synchronized (Workers.class) {
        leases--;
        if (!idle) {
          JOBS.remove(job, Workers.this);
        }
      }
      LATER.schedule(Workers.this::endIfIdle, idle ? LINGER : 0, TimeUnit.SECONDS);
    }
  }

  private void endIfIdle() {
    synchronized (Workers.class) {
      if (leases > 0) {
        return;
      }
      JOBS.remove(job, this);
    }
    try {
      factory.close();
    } catch (Exception error) {
      // They are dead already, which is why the subtask failed.
    }
  }
}
