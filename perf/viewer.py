"""How fast the sample viewer is written and painted, with as many samples as asked for.

    python perf/viewer.py [--problems 1000] [--samples 100] [--words 60] [--serve]

A run is made of random words (nothing is sampled), its viewer is written, and headless Chromium
opens it from `file://` (or from the server with --serve). Printed are the time and the peak memory
of writing, the sizes, and milliseconds from navigation: to the first paint, to the frame with the
first rows of the list, and until the whole list is read.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import shutil
import statistics
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path
from threading import Thread
from typing import Any

from reasonbench.reports.viewer import open_book, serve, write_viewer
from reasonbench.runs import RunStore, SampleKey
from reasonbench.types import Completion, Problem, Question, Verdict

WATCH = """
(() => {
  const look = () => {
    if (document.querySelector("#problems tbody tr")) {
      requestAnimationFrame(() => setTimeout(() => { window.rowsPainted = performance.now(); }));
    } else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})();
"""
"""Notes when the frame with the first rows has been painted."""

WORDS = ("so", "wait", "then", "add", "the", "sum", "of", "both", "sides", "gives", "42", "= 6*7")


def make_run(folder: Path, problems: int, samples: int, words: int) -> None:
    """A run with random solutions, each of five steps with a score."""
    random.seed(0)
    done = ("correct", "incorrect", "incorrect")
    with RunStore.create_or_resume(folder, {"model": "none"}) as store:
        store.add_pool("drawn", {})
        for i in range(problems):
            name = f"problem-{i:06}"
            question = Question(name, "random", f"What is {i} + {i}? " * 4)
            store.add_problems([Problem(question, str(2 * i), str(i % 5), "sums")])
            for k in range(samples):
                key = SampleKey("random", name, "drawn", 0, k)
                steps = [" ".join(random.choices(WORDS, k=words // 5)) for _ in range(5)]
                store.add_completion(key, Completion((1,) * words, "\n\n".join(steps), "stop"))
                store.add_verdict(key, Verdict(random.choice(done), "42", "exact"))  # type: ignore[arg-type]
                store.add_score(key, "judge", [random.random() for _ in range(5)])


def peak() -> float:
    """MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def painted(address: str, times: int) -> list[dict[str, float]]:
    """Milliseconds of each load, the browser's cache empty."""
    from playwright.sync_api import sync_playwright

    found = []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        for _ in range(times):
            page = chromium.new_page(viewport={"width": 1440, "height": 900})
            page.add_init_script(WATCH)
            page.goto(address)
            page.wait_for_function("window.rowsPainted", timeout=120_000)
            page.wait_for_selector("html[data-listed=all]", timeout=600_000)
            found.append(
                {
                    "first paint": page.evaluate(
                        "performance.getEntriesByType('paint')[0].startTime"
                    ),
                    "rows": page.evaluate("window.rowsPainted"),
                    "whole list": page.evaluate("performance.now()"),
                }
            )
            page.close()
        chromium.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problems", type=int, default=1000)
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--words", type=int, default=60)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--serve", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        run, out = Path(root) / "run", Path(root) / "viewer"
        # in a process of its own, whose memory is not counted
        maker = get_context("spawn").Process(
            target=make_run, args=(run, args.problems, args.samples, args.words)
        )
        maker.start()
        maker.join()
        book = open_book([run])
        result: dict[str, Any] = {
            "problems": args.problems,
            "samples": args.problems * args.samples,
        }
        if args.serve:
            server = serve(book, title="Samples", port=0)
            Thread(target=server.serve_forever, daemon=True).start()
            times = painted(server.address, args.times)
        else:
            before, start, computed = peak(), time.perf_counter(), time.process_time()
            written = write_viewer(book, out, title="Samples")
            sizes = [path.stat().st_size for path in (out / "data").glob("shard-*.js")]
            result |= {
                "write seconds": round(time.perf_counter() - start, 1),
                "of it computing": round(time.process_time() - computed, 1),
                "memory before, peak (MB)": [round(before), round(peak())],
                "files": written.files,
                "MB": round(written.size / 1e6, 1),
                "largest shard (kB)": round(max(sizes) / 1e3),
                "list (kB)": round(
                    sum(p.stat().st_size for p in out.glob("data/index-*.js")) / 1e3
                ),
            }
            times = painted((out / "index.html").as_uri(), args.times)
        for name in times[0]:
            values = sorted(one[name] for one in times)
            result[f"{name} (ms)"] = (
                f"{statistics.median(values):.0f} ({values[0]:.0f}–{values[-1]:.0f})"
            )
        print(json.dumps(result, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
