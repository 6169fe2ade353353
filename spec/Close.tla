-------------------------------- MODULE Close --------------------------------
(* Closing a device while it is used: rdl_device_close (runtime/device.c), rdl__lanes_refuse and
   rdl__lanes_take_all (runtime/lane.c), with calls that lease lanes, and with streams that are being
   opened (runtime/stream.c) and hold one. From DRAINED on it is End.tla. The device has one worker,
   which a run holds until it ends; with LongRuns a run goes on until it is stopped.

   Claims: nobody uses a lane of a drained device (NoFault); everyone comes back, closers too (Ends,
   without deadlines): no wake-up of a closer is lost, no waiter is forgotten, no stream that is opened
   meanwhile keeps a lane, no stop is lost or comes too late; the device drains once.
   Bounds: the constants. Assumed: handles as in Handle.tla, parking as in Park.tla (a token here),
   the hand-over between callers as in Lane.tla: a free lane goes to a waiter in one step, if no closer
   is about. A user never closes his stream: the device must. *)
EXTENDS Naturals, Sequences, FiniteSets, TLC
CONSTANTS Lanes, Callers, Openers, Closers, WithTimeout, LongRuns, BUG
Free == 0
Closer == 1   \* the token of all closers

(* --algorithm Close {
variables
  state = "open"; attention = {}; owner = [l \in Lanes |-> Free];
  queue = <<>>; granted = [p \in Callers \cup Openers |-> Free];
  refused = {}; closers = {}; newest = {};     \* struct rdl__device: wait
  token = [c \in Closers |-> FALSE];           \* struct rdl__park of each closer
  named = TRUE; pins = 0; drains = 0;          \* the device's handle
  streams = {}; kept = [o \in Openers |-> Free]; \* streams whose handle is open; the lane of each
  stop = {};                                   \* lanes whose progress (struct rdl__progress) says stop
  worker = Free;                               \* the lane whose run the device's worker runs
  fault = "none";

define {
  Drained == state = "drained"
  Min(S) == CHOOSE x \in S : \A y \in S : x <= y \* a name for a number, not a choice of schedule
}

\* The wait lock is held; as release_word: closers first, else the oldest waiter.
macro serve() {
  if (closers # {}) token := [c \in Closers |-> token[c] \/ c \in (IF BUG = "onecloser" THEN newest ELSE closers)];
  else if (queue # <<>> /\ Head(queue) \notin refused /\ \E l \in Lanes : owner[l] = Free) {
    with (l \in {l \in Lanes : owner[l] = Free}) { owner[l] := Head(queue); granted[Head(queue)] := l; };
    queue := Tail(queue);
  };
}

procedure release(lane = 0)
variables saw = {}; {
R0: if (Drained) fault := "lane of a drained device is given back";
    if (BUG = "readfirst") saw := attention;
R1: owner[lane] := Free;                       \* release_word (runtime/lane.c): exchange
R2: if (BUG # "readfirst") saw := attention;   \* release_word: looks at attention
R3: if (saw # {}) {
      serve();                                 \* release_word: under the lock
    };
R4: return;
}

procedure lease() {
A0: if (state # "open") { goto A9; };          \* rdl__lane_acquire (runtime/lane.c): state
A1: if ("lanes" \notin attention /\ \E l \in Lanes : owner[l] = Free) {
      with (l \in {l \in Lanes : owner[l] = Free}) { owner[l] := self; granted[self] := l; }; \* scan: a CAS
      goto A5;
    };
A2: \* enqueue (runtime/lane.c): under the lock
    attention := attention \cup {"lanes"};
    if (state # "open" /\ BUG # "norefuse") { refused := refused \cup {self}; queue := Append(queue, self); }
    else if (queue = <<>> /\ \E l \in Lanes : owner[l] = Free) \* enqueue: grant_locked
      with (l \in {l \in Lanes : owner[l] = Free}) { owner[l] := self; granted[self] := l; }
    else queue := Append(queue, self);
A3: await granted[self] # Free \/ self \in refused; \* wait_for_lane (runtime/lane.c)
A4: \* leave (runtime/lane.c): under the lock
    queue := SelectSeq(queue, LAMBDA x : x # self); refused := refused \ {self};
    if (SelectSeq(queue, LAMBDA x : x # self) = <<>>) attention := attention \ {"lanes"};
A5: if (granted[self] # Free /\ state # "open") { \* rdl__lane_acquire: state once more
      call release(granted[self]);
A6:   granted[self] := Free;
    };
A9: return;
}

fair process (caller \in Callers) {
C0: call lease();                              \* run_leased (model/run.c)
C1: if (granted[self] # Free) {
      if (Drained) fault := "lane of a drained device is used"; \* run_on_lane (model/run.c)
      if (state # "open") goto C5;             \* run_on_lane: state
C2:   await worker = Free; worker := granted[self]; \* execute (model/run.c): submits; the worker begins
      if (BUG = "earlyreset") stop := stop \ {granted[self]};
C3:   await ~LongRuns \/ granted[self] \in stop; worker := Free; \* execute: the work has ended
C4:   stop := stop \ {granted[self]};          \* run_on_lane: takes a stop back
C5:   call release(granted[self]);             \* rdl__lane_release (runtime/lane.c)
    };
C6: granted[self] := Free;
}

fair process (opener \in Openers) {
O0: if (named /\ state = "open") { pins := pins + 1; } else { goto Done; }; \* rdl__device_pin (runtime/device.c)
O1: call lease();                              \* rdl_stream_open (runtime/stream.c)
O2: if (granted[self] # Free) {
      streams := streams \cup {self}; kept[self] := granted[self]; \* publish (runtime/stream.c): names it
O3:   if (BUG # "latestream" /\ state # "open" /\ self \in streams) { \* publish: state once more
        streams := streams \ {self};
O4:     call release(kept[self]);              \* destroy_stream (runtime/stream.c)
      };
    };
O5: pins := pins - 1;                          \* rdl__device_unpin (runtime/device.c)
    if (pins = 0 /\ ~named) { state := "drained"; drains := drains + 1; };
}

fair process (closer \in Closers)
variables rest = {}; late = FALSE; asleep = FALSE; {
K0: if (~named) { goto Done; } else pins := pins + 1; \* rdl_device_close (runtime/device.c): rdl__handle_pin
K1: state := "closing";                        \* rdl_device_close: state
K2: while (streams # {} ) {                    \* rdl__tables_close (runtime/lifecycle.c)
      with (s \in streams) { streams := streams \ {s}; rest := {s}; };
K3:   with (s \in rest) call release(kept[s]); \* destroy_stream (runtime/stream.c)
    };
K4: \* rdl__lanes_refuse (runtime/lane.c): under the lock
    if (BUG # "norefuse") refused := refused \cup {queue[i] : i \in 1..Len(queue)};
K5: \* list_closer (runtime/lane.c): under the lock
    closers := closers \cup {self}; attention := attention \cup {"close"};
    newest := {self};
    rest := Lanes;
L0: while (rest # {} /\ BUG # "stopinturn") {  \* stop_all (runtime/lane.c)
      with (l = Min(rest)) { stop := stop \cup {l}; rest := rest \ {l}; };
    };
    rest := Lanes;
K6: while (rest # {} /\ ~late) {
      with (l = Min(rest)) {                   \* rdl__lanes_take_all (runtime/lane.c): try_as, in order
        if (owner[l] = Free) owner[l] := Closer;
        if (owner[l] \in {Free, Closer}) rest := rest \ {l}; else asleep := TRUE;
        if (BUG = "stopinturn") stop := stop \cup {l};
      };
K7:   if (asleep) {                            \* rdl__lanes_take_all: rdl__park_wait
        either { await token[self]; token[self] := FALSE; }
        or { await WithTimeout; late := TRUE; };
        asleep := FALSE;
      };
    };
K8: \* unlist_closer (runtime/lane.c): under the lock
    closers := closers \ {self};
    if (BUG = "onecloser") newest := {};
    if (BUG \notin {"onecloser", "nowakeothers"})
      token := [c \in Closers |-> token[c] \/ c \in closers \ {self}];
K9: if (~late) named := FALSE;                 \* rdl_device_close: rdl__handle_close
Ka: pins := pins - 1;                          \* rdl_device_close: rdl__handle_unpin
    if (pins = 0 /\ ~named) { state := "drained"; drains := drains + 1; }; \* drained (runtime/device.c)
}
} *)

NoFault == fault = "none"
DrainsOnce == drains <= 1
DrainedIsEmpty == Drained => \A l \in Lanes : owner[l] = Closer
AllDone == \A p \in ProcSet : pc[p] = "Done"
Clean == AllDone /\ ~WithTimeout => drains = 1 /\ queue = <<>> /\ refused = {} /\ closers = {}
Ends == <>AllDone
\* Witnesses
NeverTwoClosersWait == ~\E c, d \in Closers : c # d /\ pc[c] = "K7" /\ pc[d] = "K7"
NeverRefused == refused = {}
NeverLateLease == ~\E c \in Callers : pc[c] = "A6"
NeverLateStream == ~\E o \in Openers : pc[o] = "O4"
NeverTakenOver == ~\E c \in Closers : late[c] /\ drains = 1
NeverQueuedForTheWorker == ~\E c, d \in Callers : pc[c] = "C3" /\ pc[d] = "C2" /\ granted[d] \in stop
=============================================================================
