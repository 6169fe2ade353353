------------------------------- MODULE Workers -------------------------------
(* The worker pool: runtime/workers.c. Submitters queue one task each and may start a thread, which the
   system may refuse; a stopper ends the pool. Everything is guarded by the pool's lock, so one label is
   one section under it, or what happens between two of them.

   Claims: a task that is taken runs once, one that is refused never (RunOnce, Clean); when stopping
   returns, no thread is left; no submitter, worker or stopper waits for ever (Ends, no deadlock).
   Bounds: the constants. Assumed: a condition wakes those who wait when it is signalled, and may wake
   them without cause (here: idle threads look whenever there is something to find, or never, if nobody
   signals: see signals). Left out: fork, deadlines of stopping, the handles' array (joins are counted). *)
EXTENDS Naturals, Sequences, FiniteSets, TLC
CONSTANTS Submitters, Threads, \* threads that may come to be; at least as many as submitters
          Limit, MayFail, Stoppers,
          StopLate,            \* the stopper comes when all that was taken has run
          BUG

(* --algorithm Workers {
variables
  stopping = FALSE; queue = <<>>; threads = 0; idle = 0; starting = 0; started = 0; joining = 0;
  asleep = {}; signalled = {};               \* threads in rdl__cond_wait for work; those woken
  alive = [t \in Threads |-> "unborn"];       \* what the system knows of a thread
  runs = [s \in Submitters |-> 0]; taken = [s \in Submitters |-> "unknown"];
  stopped = FALSE;

fair process (submitter \in Submitters)
variables start = FALSE; alone = FALSE; born = {}; {
S0: await stopping \/ ~(starting > 0 /\ threads <= starting) \/ BUG = "relyonstarting";
                                              \* rdl__workers_submit (runtime/workers.c): behind a first thread
    if (stopping) {
      taken[self] := "refused";               \* rdl__workers_submit: RDL_ERR_SHUTDOWN
      goto Done;
    } else {
      queue := Append(queue, self);           \* rdl__workers_submit: queues, decides
      if (Len(queue) > idle /\ threads < Limit) {
        start := TRUE; threads := threads + 1; starting := starting + 1;
        alone := threads = 1;
      } else {
        if (asleep \ signalled # {} /\ BUG # "nosignal")
          with (t \in asleep \ signalled) signalled := signalled \cup {t}; \* rdl__cond_signal
      };
    };
S1: if (start) {                              \* start_worker (runtime/workers.c): rdl__thread_start
      either {
        await {t \in Threads : alive[t] = "unborn"} # {};
        with (t \in {t \in Threads : alive[t] = "unborn"}) { alive[t] := "alive"; born := {t}; };
      } or { await MayFail; };
S2:   starting := starting - 1;               \* start_worker: notes the outcome
      if (born # {}) started := started + 1; else threads := threads - 1;
S3:   if (born = {} /\ alone) {                \* withdraw (runtime/workers.c)
        if (\E i \in 1..Len(queue) : queue[i] = self) {
          queue := SelectSeq(queue, LAMBDA x : x # self);
          taken[self] := "refused";
        } else taken[self] := "ok";
      } else taken[self] := "ok";
    } else taken[self] := "ok";
}

fair process (worker \in Threads)
variables task = {}; {
W0: await alive[self] = "alive" \/ stopped;
    if (alive[self] # "alive") goto Done;
W1: if (queue # <<>> /\ ~(BUG = "stopearly" /\ stopping)) { \* worker (runtime/workers.c), pop_locked
      task := {Head(queue)}; queue := Tail(queue);
W2:   with (s \in task) runs[s] := runs[s] + 1; \* worker: task->run, under no lock
      task := {};
      goto W1;
    } else if (stopping) {
      threads := threads - 1; alive[self] := "ended"; \* worker: ends, tells pool.ended
      goto Done;
    } else {
      idle := idle + 1; asleep := asleep \cup {self}; \* worker: rdl__cond_wait
    };
W3: await self \in signalled;                 \* worker: woken
    signalled := signalled \ {self}; asleep := asleep \ {self}; idle := idle - 1;
    goto W1;
}

fair process (stopper \in Stoppers) {
X0: await ~StopLate \/ \A s \in Submitters : taken[s] = "refused" \/ (taken[s] = "ok" /\ runs[s] = 1);
X0b:stopping := TRUE;                         \* rdl__workers_stop (runtime/workers.c): refuses new tasks
    signalled := signalled \cup (IF BUG = "nobroadcast" THEN {} ELSE asleep); \* rdl__cond_broadcast
X1: await threads = 0 /\ (starting = 0 \/ BUG = "latehandle"); \* rdl__workers_stop: rdl__cond_wait_until
X2: while (started > 0) {                     \* rdl__workers_stop: takes a handle
      started := started - 1; joining := joining + 1;
X3:   joining := joining - 1;                 \* rdl__workers_stop: rdl__thread_join
    };
X4: await joining = 0;                        \* rdl__workers_stop: waits for the joins of others
    stopped := TRUE;
}
} *)

RunOnce == \A s \in Submitters : runs[s] <= 1 /\ (taken[s] = "refused" => runs[s] = 0)
Counts == threads <= Limit /\ idle = Cardinality(asleep)
Born == Cardinality({t \in Threads : alive[t] # "unborn"})
AllDone == \A p \in ProcSet : pc[p] = "Done"
Clean == AllDone => /\ \A s \in Submitters : taken[s] = "ok" => runs[s] = 1
                    /\ queue = <<>> /\ started = 0
StoppedMeansEnded == stopped => threads = 0 /\ \A t \in Threads : alive[t] # "alive"
TakenRuns == \A s \in Submitters : taken[s] = "ok" ~> runs[s] = 1
Ends == <>AllDone
\* Witnesses
NeverRefused == \A s \in Submitters : ~(taken[s] = "refused" /\ ~stopping)
NeverSleeps == asleep = {}
NeverTwoThreads == Born < 2
NeverDoneWithout == ~\E s \in Submitters : taken[s] = "ok" /\ start[s] /\ born[s] = {}
NeverWaitsForTheFirst == ~(\E s \in Submitters : pc[s] = "S0" /\ starting > 0 /\ threads <= starting)
=============================================================================
