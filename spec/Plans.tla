-------------------------------- MODULE Plans --------------------------------
(* The cache of plans and its flights: model/plan_cache.c, with hazards and retired plans as in
   runtime/lane.h and runtime/retire.c. The cache has one entry, so that two keys evict each other.

   A caller looks, holds what it finds by a hazard, else boards the flight of its key or begins it,
   compiles, holds its plan and lands, or waits and looks again. A compile may fail for the caller's own cause (the
   next waiter takes over) or the model's (all waiters get it).

   Claims: never two compiles of one key at a time, and none for a plan that is linked when it begins;
   a plan in use is not freed, and one that was evicted is freed once (Clean); a waiter that gave up is
   not touched; only the model's fault reaches others; everyone ends (Ends, no deadlock).
   Bounds: the constants. Assumed: parking as in Park.tla; retiring as in Lane.tla (its scan is one step
   here). Left out: hashes, the second-chance bit, the lane's hint (rdl__plans_hint: as look). *)
EXTENDS Naturals, Sequences, FiniteSets, TLC
CONSTANTS Callers, Keys, \* Keys[c]: the key of each caller
          Rounds, MayFail, GiveUp, BUG
None == 0

(* --algorithm Plans {
variables
  entry = None; plans = <<>>;                  \* the entry's plan, by number; plans[i]: its key
  flights = {};                                \* keys that are being compiled
  waiters = [i \in {1, 2} |-> {}];             \* flight_waiters of each flight
  over = [c \in Callers |-> FALSE]; told = [c \in Callers |-> "ok"];
  frame = [c \in Callers |-> FALSE];           \* the waiter on the caller's stack lives
  hazard = [c \in Callers |-> None];           \* the lane's hazard_plan
  retired = {}; freed = {};                    \* plans by number
  compiling = [i \in {1, 2} |-> 0]; fault = "none";

define {
  InUse(p) == \E c \in Callers : hazard[c] = p
}

macro scan() {                                 \* rdl__retire_scan (runtime/retire.c)
  freed := freed \cup {p \in retired : ~InUse(p)};
  retired := {p \in retired : InUse(p)};
}

fair process (caller \in Callers)
variables n = 0; plan = None; old = None; own = FALSE; made = FALSE; status = "ok"; k = 0; {
A0: while (n < Rounds) {
      n := n + 1; k := Keys[self]; status := "ok";
A1:   plan := entry;                           \* look (model/plan_cache.c): reads the entry
      if (plan = None) goto A4;
A2:   hazard[self] := plan;                    \* hold (model/plan_cache.c): publishes
A3:   if (entry # plan /\ BUG # "norecheck") goto A4; \* hold: the entry still names it
A3b:  if (plan \in freed) fault := "a freed plan is read"; \* look: rdl__plan_matches
      if (plans[plan] = k) goto U0;
A4:   plan := None; hazard[self] := None;      \* look: publishes no plan
B0:   frame[self] := TRUE; over[self] := FALSE; told[self] := "ok"; \* rdl__plans_get: the frame
B1:   own := k \notin flights \/ BUG = "twoflights"; \* board (model/plan_cache.c): under the lock
      if (k \notin flights \/ BUG = "twoflights") flights := flights \cup {k};
      else waiters[k] := waiters[k] \cup {self};
B2:   if (own) {
        plan := entry;                         \* look, once more: it may have landed before
        if (plan = None \/ BUG = "lookonce") goto C0;
B3:     hazard[self] := plan;                  \* hold
B4:     if (entry # plan) goto B6;
B5:     if (plan \in freed) fault := "a freed plan is read";
        if (plans[plan] = k) goto L0;
B6:     plan := None; hazard[self] := None;    \* look: publishes no plan
        goto C1;
C0:     plan := None;
C1:     compiling[k] := compiling[k] + 1;      \* compile (model/plan_cache.c): begins
        if (compiling[k] > 1) fault := "two compile one key";
C2:     either {                               \* compile: rdl__plan_make
          status := "ok"; made := TRUE;
          plans := Append(plans, k); plan := Len(plans);
        }
        or { await MayFail; status := "own"; }
        or { await MayFail; status := "model"; };
        compiling[k] := compiling[k] - 1;
C3:     if (made /\ BUG # "unheld") hazard[self] := plan; \* compile: publishes, before others see it
L0:     if (made) {                            \* land (model/plan_cache.c): links, under the lock
          old := entry; entry := plan; made := FALSE;
        } else old := None;
        if (BUG # "dropwaiters") over := [c \in Callers |-> over[c] \/ c \in waiters[k]]; \* land: tells the waiters
        told := [c \in Callers |-> IF c \in waiters[k] /\ status # "ok" /\ (status = "model" \/ BUG = "ownforall")
                                   THEN status ELSE told[c]];
        if (\E c \in waiters[k] : ~frame[c]) fault := "a dead waiter is told";
        flights := flights \ {k}; waiters[k] := {};
L1:     if (old # None) {                      \* land: rdl__retire, what it replaced
          if (BUG = "freeatonce") freed := freed \cup {old}; else retired := retired \cup {old};
L2:       scan();
        };
L3:     frame[self] := FALSE;
        if (status = "ok") { goto U0; } else { goto E0; };
      };
W0:   either { await over[self]; }             \* wait_for (model/plan_cache.c): woken
      or { await GiveUp; status := "own"; };   \* wait_for: cancelled or late
W1:   if (over[self]) status := told[self];    \* check_over (model/plan_cache.c): under the lock
      else if (BUG # "stay") waiters[k] := waiters[k] \ {self};
W2:   frame[self] := FALSE;                    \* rdl__plans_get: the frame ends
      if (status = "own" /\ ~GiveUp) fault := "another call's own cause";
      if (status # "ok") { goto E0; } else { goto A1; };
U0:   if (plan \in freed) fault := "a freed plan is used"; \* execute (model/run.c)
E0:   hazard[self] := None;                    \* rdl__lane_unpublish (runtime/lane.h)
E1:   if (retired # {}) scan();                \* rdl__lane_release (runtime/lane.c): rdl__retire_scan
    };
}
} *)

NoFault == fault = "none"
AllDone == \A p \in ProcSet : pc[p] = "Done"
Clean == AllDone => flights = {} /\ retired = {} /\ freed = (1..Len(plans)) \ {entry}
OneEach == ~MayFail /\ (\A c, d \in Callers : Keys[c] = Keys[d]) => Len(plans) <= 1
Ends == <>AllDone
Same == <<1, 1, 1>>
Mixed == <<1, 2, 1>>
\* Witnesses
NeverWaits == \A c \in Callers : pc[c] # "W0"
NeverTakenOver == ~\E c \in Callers : own[c] /\ pc[c] = "C1" /\ \E d \in Callers : d # c /\ status[d] = "own" /\ n[d] > 0
NeverEvicts == retired = {} /\ freed = {}
NeverFreedByUser == ~\E c \in Callers : pc[c] = "E1" /\ \E p \in retired : ~InUse(p)
NeverLandedBefore == ~\E c \in Callers : pc[c] = "L0" /\ plan[c] # None
NeverToldTheModelsFault == ~\E c \in Callers : pc[c] = "W2" /\ status[c] = "model"
=============================================================================
