#!/usr/bin/env python3
"""tables.py RESULTS: the results of bench.py as the tables of docs/speed.md.

For each engine its best way: the one with the highest median rate. "ratio": Raddle's rate by the
engine's, median of the rounds (lowest..highest); "cpu": the engine's processor time for a call by
Raddle's; "p50": the engine's median latency by Raddle's, medians of the rounds. Above 1, Raddle is
ahead. The better engine is the one with the higher rate.
"""

import json
import sys

from bench import rate


def best_ways(result):
    """The fastest way of each engine."""
    ways = {}
    for peer in result["peers"]:
        engine = peer["engine"]
        if engine not in ways or (
            peer["ops_per_s"]["median"] > ways[engine]["ops_per_s"]["median"]
        ):
            ways[engine] = peer
    return ways


def cell(ours, peer):
    if peer is None:
        return "cannot read it"
    ratio, cpu = peer["raddle_ratio"], peer["raddle_cpu_ratio"]["median"]
    p50 = peer["p50_us"]["median"] / ours["p50_us"]["median"]
    wrong = "" if peer["within_tolerance"] and peer["mismatches"] == 0 else "; WRONG"
    return (
        f"{rate(peer['ops_per_s']['median']).strip()}; **{ratio['median']:.2f}** "
        f"({ratio['low']:.2f}..{ratio['high']:.2f}), cpu {cpu:.2f}, p50 {p50:.2f}{wrong}"
    )


def print_speed(results):
    print(
        "| case | T | rounds | Raddle ops/s | ONNX Runtime: ops/s; ratio | OpenVINO: ops/s; ratio "
        "| better |"
    )
    print("|---|---|---|---|---|---|---|")
    for result in results:
        if "error" in result:
            print(f"| {result['name']} | | | {result['error']} | | | |")
            continue
        ways = best_ways(result)
        ours = ways.pop("raddle")
        better = max(ways.values(), key=lambda peer: peer["ops_per_s"]["median"])
        star = "\\*" if result["disturbed"] else ""
        print(
            f"| {result['name']}{star} | {result['threads']} | {result['rounds']} "
            f"| {rate(ours['ops_per_s']['median']).strip()} "
            f"| {cell(ours, ways.get('onnxruntime'))} | {cell(ours, ways.get('openvino'))} "
            f"| {better['name']} {better['raddle_ratio']['median']:.2f} |"
        )


def print_load(results):
    print(
        "| case | engine | load ms (low..high) | cpu ms | first call ms "
        "| peak MiB: start, load, 10 calls |"
    )
    print("|---|---|---|---|---|---|")
    for result in results:
        if "error" in result:
            print(f"| {result['name']} | {result['peer']} | cannot read it | | | |")
            continue
        load = result["load_ms"]
        peaks = ", ".join(
            f"{result[key]['median']:.1f}" for key in ("start_mib", "load_mib", "calls_mib")
        )
        print(
            f"| {result['name']} | {result['peer']} "
            f"| {load['median']:.1f} ({load['low']:.1f}..{load['high']:.1f}) "
            f"| {result['load_cpu_ms']['median']:.1f} | {result['first_ms']['median']:.2f} "
            f"| {peaks} |"
        )


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        results = json.load(file)
    if "speed" in results:
        print_speed(results["speed"])
        print()
    if "load" in results:
        print_load(results["load"])


if __name__ == "__main__":
    main()
