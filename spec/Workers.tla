------------------------------- MODULE Workers -------------------------------
(* The worker pool: runtime/workers.c. Submitters queue one task each and may start a thread, which the
   system may refuse; tasks are cancelled or pass their deadline; a stopper ends the pool. Everything is
   guarded by the pool's lock, so one label is one section under it, or what happens between two of them;
   the reaper's parker and the tokens' lists have locks of their own (spec/Park.tla).

   Claims: a task that is taken runs once, one that is refused never (RunOnce; Ends and Clean); when stopping
   returns, no thread is left; no submitter, worker or stopper waits for ever (Ends, no deadlock); with
   Long, where a worker keeps its task until every task that is over has run or is being run, a queued
   task that is over needs no worker.
   Bounds: the constants. Assumed: a condition wakes those who wait when it is signalled, and may wake
   them without cause (here: idle threads look whenever there is something to find, or never, if nobody
   signals: see signals). Left out: fork, deadlines of stopping, the handles' array (joins are counted). *)
EXTENDS Naturals, Sequences, FiniteSets, TLC
CONSTANTS Submitters, Threads, \* threads that may come to be, one of them the reaper
          Limit, MayFail, Stoppers,
          StopLate,            \* the stopper comes when all that was taken has run
          Cancelled,           \* submitters whose token is set at some time
          Timed,               \* submitters whose task has a deadline; it passes at some time
          Long,
          BUG

(* --algorithm Workers {
variables
  stopping = FALSE; queue = <<>>; threads = 0; idle = 0; starting = 0; started = 0; joining = 0;
  first = FALSE; reaper = FALSE;
  asleep = {}; signalled = {};               \* threads in rdl__cond_wait for work; those woken
  alive = [t \in Threads |-> "unborn"];       \* what the system knows of a thread
  runs = [s \in Submitters |-> 0]; taken = [s \in Submitters |-> "unknown"];
  held = {};                                 \* tasks in the hands of a thread
  isset = {}; listed = {};                   \* tokens that are set; that list the reaper's parker
  late = {};                                 \* tasks whose deadline has passed
  token = FALSE;                             \* in the reaper's parker
  watched = {};                              \* deadlines the reaper sleeps for: reap_at is their least
  stopped = FALSE;

define {
  Over(s) == s \in isset \/ s \in late
  OverQueued == SelectSeq(queue, LAMBDA s : Over(s))
  LongEnds == \A s \in Submitters : Over(s) /\ taken[s] = "ok" => runs[s] = 1 \/ s \in held
}

fair process (submitter \in Submitters)
variables start = "no"; alone = FALSE; born = {}; seen = FALSE; {
S00:if (BUG = "checkfirst") seen := Over(self); \* mutant: looks before the token lists the parker
S0: await stopping \/ ~first \/ BUG = "relyonstarting"; \* rdl__workers_submit (runtime/workers.c): waits
    if (stopping) {
      taken[self] := "refused";               \* rdl__workers_submit: RDL_ERR_SHUTDOWN
      goto Done;
    } else {
      queue := Append(queue, self);           \* push_locked (runtime/workers.c)
      listed := listed \cup {self};
      if (BUG # "checkfirst") seen := Over(self); \* rdl__workers_submit: is it over, or due sooner
      if (seen \/ (self \in Timed /\ self \notin watched /\ BUG # "sleepon")) token := TRUE;
      if (asleep \ signalled # {} /\ BUG # "nosignal")
        with (t \in asleep \ signalled) signalled := signalled \cup {t}; \* rdl__cond_signal
      if (Len(queue) > idle /\ threads < Limit) { \* wants_thread_locked (runtime/workers.c)
        start := "worker"; threads := threads + 1; starting := starting + 1;
        first := threads = 1; alone := threads = 1;
      } else if (Len(queue) > idle /\ ~reaper /\ BUG # "noreaper") {
        start := "reaper"; reaper := TRUE; starting := starting + 1;
      };
    };
S1: if (start # "no") {                       \* start_thread (runtime/workers.c): rdl__thread_start
      either {
        await {t \in Threads : alive[t] = "unborn"} # {};
        with (t \in {t \in Threads : alive[t] = "unborn"}) { alive[t] := start; born := {t}; };
      } or { await MayFail; };
S2:   starting := starting - 1;               \* start_thread: notes the outcome
      if (start = "worker") first := FALSE;
      if (born # {}) started := started + 1;
      else if (start = "reaper") reaper := FALSE;
      else { threads := threads - 1; if (threads = 0) token := TRUE; };
S3:   if (born = {} /\ alone) {                \* withdraw (runtime/workers.c)
        if (\E i \in 1..Len(queue) : queue[i] = self) {
          queue := SelectSeq(queue, LAMBDA x : x # self);
          listed := listed \ {self};
          taken[self] := "refused";
        } else taken[self] := "ok";
      } else taken[self] := "ok";
    } else taken[self] := "ok";
}

fair process (worker \in Threads)
variables task = {}; over = <<>>; {
W0: await alive[self] # "unborn" \/ stopped;
    if (alive[self] = "unborn") goto Done;
    else if (alive[self] = "reaper") goto R1;
W1: if (queue # <<>> /\ ~(BUG = "stopearly" /\ stopping)) { \* worker (runtime/workers.c), pop_locked
      task := {Head(queue)}; listed := listed \ task; held := held \cup task;
      queue := Tail(queue);
W2:   await ~Long \/ (\A s \in task : Over(s)) \/ LongEnds; \* worker: task->run, under no lock
      with (s \in task) runs[s] := runs[s] + 1;
      held := held \ task; task := {};
      goto W1;
    } else if (stopping) {
      threads := threads - 1; alive[self] := "ended"; \* worker: ends; worker_is_gone_locked
      if (threads = 0 /\ BUG # "lastworker") token := TRUE;
      goto Done;
    } else {
      idle := idle + 1; asleep := asleep \cup {self}; \* worker: rdl__cond_wait
    };
W3: await self \in signalled;                 \* worker: woken
    signalled := signalled \ {self}; asleep := asleep \ {self}; idle := idle - 1;
    goto W1;

R1: over := OverQueued;                       \* reaper (runtime/workers.c), take_over_locked
    queue := SelectSeq(queue, LAMBDA s : ~Over(s));
    held := held \cup {over[i] : i \in 1..Len(over)};
    listed := listed \ held;
    watched := {queue[i] : i \in 1..Len(queue)} \cap Timed;
    if (over # <<>>) goto R2;
    else if (~stopping \/ threads > 0) goto R3;
    else {
      reaper := FALSE; alive[self] := "ended"; \* reaper: ends, tells pool.ended
      goto Done;
    };
R2: runs[Head(over)] := runs[Head(over)] + 1; \* run_list (runtime/workers.c), under no lock
    held := held \ {Head(over)};
    over := Tail(over);
    if (over # <<>>) goto R2; else goto R1;
R3: await token \/ watched \cap late # {};    \* reaper: rdl__park_wait
    token := FALSE;
    goto R1;
}

fair process (canceller \in {<<"cancel", s>> : s \in Cancelled})
{
C0: isset := isset \cup {self[2]};            \* rdl_cancel_request (runtime/cancel.c)
    if (self[2] \in listed) token := TRUE;
}

fair process (clock \in {<<"clock", s>> : s \in Timed})
{
T0: late := late \cup {self[2]};              \* time passes
}

fair process (stopper \in Stoppers) {
X0: await ~StopLate \/ \A s \in Submitters : taken[s] = "refused" \/ (taken[s] = "ok" /\ runs[s] = 1);
X0b:stopping := TRUE;                         \* rdl__workers_stop (runtime/workers.c): refuses new tasks
    token := BUG # "lastworker";
    signalled := signalled \cup (IF BUG = "nobroadcast" THEN {} ELSE asleep); \* rdl__cond_broadcast
X1: await threads = 0 /\ ~reaper /\ (starting = 0 \/ BUG = "latehandle"); \* has_ended_locked
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
OneReaper == Cardinality({t \in Threads : alive[t] = "reaper"}) <= 1
Born == Cardinality({t \in Threads : alive[t] # "unborn"})
AllDone == \A p \in ProcSet : pc[p] = "Done"
Clean == AllDone => /\ \A s \in Submitters : taken[s] = "ok" => runs[s] = 1
                    /\ queue = <<>> /\ started = 0 /\ listed = {} /\ held = {}
StoppedMeansEnded == stopped => threads = 0 /\ ~reaper /\ \A t \in Threads : alive[t] \in {"unborn", "ended"}
Ends == <>AllDone
\* Witnesses
NeverRefused == \A s \in Submitters : ~(taken[s] = "refused" /\ ~stopping)
NeverSleeps == asleep = {}
NeverTwoThreads == Born < 2
NeverDoneWithout == ~\E s \in Submitters : taken[s] = "ok" /\ start[s] = "worker" /\ born[s] = {}
NeverWaitsForTheFirst == ~(\E s \in Submitters : pc[s] = "S0" /\ first)
NeverReaps == \A t \in Threads : over[t] = <<>>
NeverReapsTwo == \A t \in Threads : Len(over[t]) < 2
NeverReapsBehindABusyWorker == ~\E t, u \in Threads : over[t] # <<>> /\ task[u] # {}
=============================================================================
