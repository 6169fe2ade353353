-------------------------------- MODULE Turn ---------------------------------
(* Turns of a held stream: runtime/stream.c. Everything is guarded by the turn's lock, so one label is
   one section under it.

   Claims: one has the turn at a time; it goes to who waits first; a turn that was given to a waiter
   whose deadline passes at that moment is used or passed on, never lost (Ends, no deadlock).
   Bounds: the constants. Assumed: parking as in Park.tla (a waiter here awaits being served). *)
EXTENDS Naturals, Sequences, FiniteSets, TLC
CONSTANTS Takers, Rounds, WithTimeout, BUG

(* --algorithm Turn {
variables
  taken = FALSE; queue = <<>>; served = [t \in Takers |-> FALSE]; \* struct rdl__turn
  holders = {}; tickets = <<>>; fault = "none"; \* ghosts

fair process (taker \in Takers)
variables n = 0; late = FALSE; has = FALSE; {
T0: while (n < Rounds) {
      n := n + 1; late := FALSE;
      if (~taken /\ queue = <<>>) {             \* take_or_queue (runtime/stream.c): free
        taken := TRUE; goto H0;
      } else {
        queue := Append(queue, self); tickets := Append(tickets, self); served[self] := FALSE; \* take_or_queue
      };
T1:   either { await served[self]; }            \* rdl__turn_take (runtime/stream.c): woken
      or { await WithTimeout; late := TRUE; };  \* rdl__turn_take: deadline or cancel
T2:   has := served[self] /\ ~(BUG = "dropserved" /\ late); \* check_served (runtime/stream.c)
      served[self] := FALSE;
      if (~has) {
        queue := SelectSeq(queue, LAMBDA x : x # self);
        tickets := SelectSeq(tickets, LAMBDA x : x # self);
        goto T0;
      };
H0:   holders := holders \cup {self};           \* run_held (model/run.c): works in its turn
H1:   holders := holders \ {self};              \* rdl__turn_give (runtime/stream.c)
      if (queue # <<>>) {
        if (Head(queue) # Head(tickets)) fault := "overtaken";
        if (BUG # "nowake") served[Head(queue)] := TRUE;
        if (BUG = "freeturn") taken := FALSE;
        queue := Tail(queue); tickets := Tail(tickets);
      } else taken := FALSE;
    };
}
} *)

NoFault == fault = "none"
OneHolder == Cardinality(holders) <= 1
AllDone == \A p \in ProcSet : pc[p] = "Done"
Clean == AllDone => ~taken /\ queue = <<>>
Ends == <>AllDone
\* Witnesses
NeverTwoWait == Len(queue) < 2
NeverServedAtTheLastMoment == ~\E t \in Takers : late[t] /\ pc[t] = "H0"
=============================================================================
