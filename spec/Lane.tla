-------------------------------- MODULE Lane --------------------------------
(* Lease, wait, hand over, use a model, close it: runtime/lane.c, runtime/retire.c, and of model/run.c
   how a run publishes its hazard. One label is one access of an atomic, or one section under a lock.

   Callers make Rounds calls each. A closer closes the model: it moves the handle on, then retires the
   object. All words are seq_cst, so that interleaving is exact; what is weaker in the C (the release
   store of rdl__lane_unpublish, the relaxed hazard_plan) is ordered by the seq_cst access beside it.

   Claims: a lane has one owner; lanes go to waiters in the order of their tickets; no hand-over is
   missed and no lane is lost (Ends, without timeouts); a closed model is freed once, never while a
   call reads it, and in the end always.
   Bounds: the constants. Left out: the closing of the device (Close.tla), parking (Park.tla: a waiter
   here waits for its grant itself), the hint (an order of scanning: here any), memory (Memory.tla). *)
EXTENDS Naturals, Sequences, FiniteSets, TLC
CONSTANTS Lanes,       \* 1..n; the default lane is never leased
          Callers, Closers, Rounds,
          WithTimeout, \* waits may end at their deadline
          NoWait,      \* callers that fail at once, RDL_NO_WAIT
          BUG
None == "none"
Free == 0

(* --algorithm Lane {
variables
  owner = [l \in Lanes |-> Free];            \* struct rdl__lane: owner
  hazard = [l \in Lanes |-> FALSE];          \* struct rdl__lane: hazard_model names the model
  attention = {};                            \* struct rdl__device: attention
  queue = <<>>; waitLock = None;             \* struct rdl__device: wait
  granted = [c \in Callers |-> Free];        \* struct rdl__lane_waiter, of each caller
  listed = FALSE; retireLock = None;         \* struct rdl__device: retire; whether the model is in the list
  open = TRUE; frees = 0;                    \* the handle's generation is the callers'; times freed
  served = 0; tickets = <<>>;                \* ghosts: leases; who queued and has not been served, in order
  fault = "none";

define {
  Min(S) == CHOOSE x \in S : \A y \in S : x <= y   \* a name for a number, not a choice of schedule
}


procedure grant()
variables at = 1; {
G0: while (at <= Cardinality(Lanes) /\ queue # <<>>) { \* grant_locked (runtime/lane.c): try_as, a CAS on each lane
      if (owner[at] = Free) {
        owner[at] := Head(queue);
        granted[Head(queue)] := at;
        if (Head(queue) # Head(tickets)) fault := "overtaken";
        tickets := Tail(tickets);
        queue := Tail(queue);
      };
      at := at + 1;
    };
G1: if (queue = <<>>) attention := attention \ {"lanes"}; \* grant_locked: rdl__device_attend; its caller unlocks
    waitLock := None;
    return;
}

procedure scan()
variables rest = {}; seen = FALSE; {
R0: await retireLock = None;                 \* rdl__retire_scan (runtime/retire.c): lock
    retireLock := self; rest := Lanes; seen := FALSE;
R1: while (listed /\ rest # {}) {             \* in_use (runtime/retire.c): rdl__lane_uses, one lane after another
      with (l = Min(rest)) { seen := seen \/ hazard[l]; rest := rest \ {l}; };
    };
R2: if (listed /\ ~seen) { listed := FALSE; } else { seen := TRUE; }; \* rdl__retire_scan: takes it off,
    if (~listed) attention := attention \ {"retire"};                  \* rdl__device_attend, unlock
    retireLock := None;
R3: if (~seen) frees := frees + 1;           \* rdl__retire_scan: free, under no lock
    return;
}

fair process (caller \in Callers)
variables n = 0; lane = Free; todo = {}; saw = {}; found = FALSE; before = {}; {
C0: while (n < Rounds) {
      n := n + 1; lane := Free;               \* rdl__lane_acquire (runtime/lane.c): looks at attention
      todo := IF BUG = "overtake" \/ "lanes" \notin attention THEN Lanes ELSE {};
      before := IF "lanes" \in attention THEN {tickets[i] : i \in 1..Len(tickets)} ELSE {};
C1:   while (todo # {} /\ lane = Free) {      \* scan (runtime/lane.c): rdl__lane_try, a CAS on each lane
        with (l \in todo) {
          if (owner[l] = Free) {
            owner[l] := self; lane := l;
            if (before \cap {tickets[i] : i \in 1..Len(tickets)} # {}) fault := "overtaken";
          };
          todo := todo \ {l};
        };
      };
      if (lane = Free /\ self \in NoWait) goto C0; \* rdl__lane_acquire: RDL_ERR_BUSY
C2:   if (lane = Free) {
        await waitLock = None;               \* enqueue (runtime/lane.c): lock, list
        waitLock := self;
        queue := Append(queue, self); tickets := Append(tickets, self);
        if (BUG = "latebit") call grant();
C3:     attention := attention \cup {"lanes"}; \* enqueue: rdl__device_attend, then grant_locked, unlock
        if (BUG \in {"norescan", "latebit"}) waitLock := None; else call grant();
C6:     either {                             \* wait_for_lane (runtime/lane.c), leave: served
          await granted[self] # Free;
        } or {                               \* wait_for_lane: deadline or cancel
          await WithTimeout;
        };
C7:     await waitLock = None;               \* leave (runtime/lane.c): takes the waiter off, or its lane
        lane := IF BUG = "droplane" THEN Free ELSE granted[self]; granted[self] := Free;
        if (lane = Free) {
          queue := SelectSeq(queue, LAMBDA x : x # self);
          tickets := SelectSeq(tickets, LAMBDA x : x # self);
          if (queue = <<>>) attention := attention \ {"lanes"};
          goto C0;
        };
      };
H0:   served := served + 1;                  \* publish (model/run.c): rdl__lane_publish
      if (BUG = "checkfirst") {
        found := open;
H0b:    hazard[lane] := TRUE;
        goto U0;
      } else hazard[lane] := TRUE;
H1:   found := open \/ BUG = "norecheck";    \* publish: rdl__handle_is_open
U0:   if (found /\ frees > 0) fault := "use of a freed model"; \* run_published (model/run.c)
E0:   if (BUG # "keephazard") hazard[lane] := FALSE; \* rdl__lane_unpublish (runtime/lane.h)
      if (BUG = "readfirst") { saw := attention; goto E2b; };
E1:   owner[lane] := Free;                   \* release_word (runtime/lane.c): exchange
E2:   saw := attention;                      \* release_word: looks at attention
      goto E3;
E2b:  owner[lane] := Free;
E3:   if ("lanes" \in saw) {
        await waitLock = None; waitLock := self; \* release_word: grant_locked under the lock
        call grant();
      };
E6:   if ("retire" \in saw) call scan();      \* rdl__lane_release (runtime/lane.c): rdl__retire_scan
    };
}

fair process (closer \in Closers) {
K0: if (BUG = "scanfirst") {
      call scan();
    };
K1: if (~open) { goto Done; } else open := FALSE; \* rdl__handle_close (runtime/handle.c): one closes
K2: await retireLock = None;                 \* rdl__retire (runtime/retire.c): under its lock, lists
    retireLock := self; listed := TRUE;
K3: attention := attention \cup {"retire"};  \* rdl__retire: rdl__device_attend
    retireLock := None;
K4: if (BUG # "scanfirst") call scan();       \* rdl__retire: rdl__retire_scan
}
} *)

NoFault == fault = "none"
AllDone == \A p \in ProcSet : pc[p] = "Done"
Holds(c) == lane[c] # Free /\ pc[c] \in {"H0", "H0b", "H1", "U0", "E0", "E1", "E2b"}
OneOwner == \A c, d \in Callers : c # d /\ Holds(c) /\ Holds(d) => lane[c] # lane[d]
OwnerIsRight == \A c \in Callers : Holds(c) => owner[lane[c]] = c
FreedOnce == frees <= 1
Clean == AllDone => /\ frees = IF Closers = {} THEN 0 ELSE 1
                    /\ queue = <<>> /\ \A l \in Lanes : owner[l] = Free /\ ~hazard[l]
                    /\ "lanes" \notin attention /\ "retire" \notin attention
EveryoneServed == ~WithTimeout /\ NoWait = {} /\ AllDone => served = Rounds * Cardinality(Callers)
Ends == <>AllDone
\* Witnesses: each says that something cannot happen, and must be refuted.
NeverHandedOver == \A c \in Callers : granted[c] = Free
NeverTwoWait == Len(queue) < 2
NeverExhausted == \E l \in Lanes : owner[l] = Free
NeverBusy == ~\E c \in NoWait : pc[c] = "C0" /\ n[c] > 0 /\ lane[c] = Free
NeverFreedByUser == ~\E c \in Callers : pc[c] = "R3" /\ ~seen[c]
NeverServedAtTheLastMoment == ~\E c \in Callers : WithTimeout /\ pc[c] = "C7" /\ granted[c] # Free
NeverFoundClosed == ~\E c \in Callers : pc[c] = "U0" /\ ~found[c]
=============================================================================
