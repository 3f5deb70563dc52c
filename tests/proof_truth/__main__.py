"""`python -m tests.proof_truth`: proofs against the truth at length; exits 1 where something proven is wrong.

python -m tests.proof_truth --models 1500 --minutes 10 --seed 7
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from proof_truth import drawn, models, tables
from proof_truth.splice import NEW, Model, compute_once, enough_of
from src.engine import DuckEngine

_REFUSED = 8  # instances in which a model that is refused is computed: whether it was for a reason


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.proof_truth", description="Proofs against the truth.")
    parser.add_argument("--models", type=int, default=300, help="random models, beside those of models.sql")
    parser.add_argument("--minutes", type=float, default=2, help="how long to compute them")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as spill:
        engine = DuckEngine(memory_limit="1GB", threads=1, spill=Path(spill))
        engine.set_run_date(date(2031, 1, 30))
        random = Random(args.seed)
        tables.fill(engine, NEW, tables.draw(random))
        written = [case.model for case in models.load()]
        made = [drawn.draw(random, engine) for _ in range(args.models)]
        begun = time.monotonic()
        for model in written + made:
            model.judge(engine)
        print(f"{len(written) + len(made)} models judged in {time.monotonic() - begun:.0f} s", flush=True)
        instances, ends = 0, time.monotonic() + 60 * args.minutes
        while time.monotonic() < ends:
            compute_once(engine, written + made, random, enough_of(_REFUSED))
            instances += 1
            print(
                f"{instances} instances, {sum(m.is_proven and m.wrong > 0 for m in written + made)} wrong", flush=True
            )
        engine.close()
    unsound = _report("written", written) + _report("random", made)
    print(f"seed {args.seed}, {instances} instances")
    return 1 if unsound else 0


def _report(kind: str, judged: list[Model]) -> int:
    proven, refused = [m for m in judged if m.is_proven], [m for m in judged if not m.is_proven]
    wrong = [model for model in proven if model.wrong]
    for model in wrong:
        print(f"UNSOUND {model.wrong}/{model.computed} {model.partition} {model.proof.cuts}\n  {model.sql}")
    print(
        f"{len(judged)} {kind} models: {len(proven)} proven, {sum(m.computed > 0 for m in proven)} of them computed in "
        f"{sum(m.computed for m in proven)} instances, {len(wrong)} wrong; {len(refused)} refused, "
        f"{sum(m.wrong > 0 for m in refused)} of them wrong by partitions"
    )
    return len(wrong)


if __name__ == "__main__":
    sys.exit(main())
