"use strict";
/* What the page knows: the header, the list of problems, and shards, loaded when somebody looks.
 *
 * Parts are scripts (a browser does not fetch from file://) that call `listed` and `shard`.
 */
viewer.data = (() => {
  const header = reasonbench.data("viewer-header");
  const title = document.title;
  const FEW = 2; // shards that are loaded whether needed or not
  const problems = [];
  const numbers = new Map();
  const units = new Map(); // "problem/source" -> { head, samples, nodes }
  const texts = new Map(); // problem -> its record
  const arrived = new Set();
  const asked = new Map();
  const listeners = new Set();
  const waiting = new Set();
  let complete = false;
  let failed = null;

  header.sources.forEach((source, place) => {
    source.place = place;
    source.label = Object.values(source.strategies).flat().filter((name, at, all) => all.indexOf(name) === at);
  });

  const tallyOf = ([source, first, last, letters, drawn, right, graded, rate, cut, none, ungraded, corrected, tokens]) =>
    ({ source, first, last, letters, drawn, right, graded, rate, cut, none, ungraded, corrected, tokens });

  /* Called by a part of the list. */
  function listed(number, first, rows) {
    arrived.add(`index-${number}`);
    rows.forEach(([benchmark, id, level, subject, question, gold, shard, tallies], place) => {
      const one = { number: first + place, benchmark, id, level, subject, question, gold, shard, tallies: new Map() };
      for (const tally of tallies) one.tallies.set(tally[0], tallyOf(tally));
      one.text = `${id}\n${question}\n${gold ?? ""}`.toLowerCase();
      problems.push(one);
      const key = JSON.stringify([benchmark, id]);
      if (!numbers.has(key)) numbers.set(key, one);
    });
  }

  /* Called by a shard. */
  function shard(number, records) {
    arrived.add(`shard-${number}`);
    for (const [problem, source, kind, content] of records) {
      if (kind === "problem") { texts.set(problem, content); continue; }
      const found = unit(problem, source);
      if (kind === "head") found.head = content;
      else if (kind === "sample") found.samples.set(content.i, content);
      else for (const node of content) found.nodes.set(node.path.join("."), node);
    }
  }

  function unit(problem, source) {
    const key = `${problem}/${source}`;
    if (!units.has(key)) units.set(key, { head: null, samples: new Map(), nodes: new Map() });
    return units.get(key);
  }

  /* Load a part once; a part that does not come may be asked for again. */
  function load(name) {
    if (!asked.has(name)) {
      asked.set(name, new Promise((resolve, reject) => {
        const script = document.createElement("script");
        const ended = () => {
          script.remove();
          if (arrived.has(name)) resolve();
          else { asked.delete(name); reject(new Error(`data/${name}.js cannot be read`)); }
        };
        script.addEventListener("load", ended);
        script.addEventListener("error", ended);
        script.src = `data/${name}.js`;
        document.head.append(script);
      }));
    }
    return asked.get(name);
  }

  /* The samples of a problem and a source: all, or of many shards those until there is enough;
   * true where more is to be loaded. */
  async function loadUnit(problem, tally, enough = () => false) {
    await load(`shard-${problem.shard}`);
    const found = unit(problem.number, tally.source);
    for (let number = tally.first; number <= tally.last; number += 1) {
      if (arrived.has(`shard-${number}`)) continue;
      if (number > tally.first && tally.last - number > FEW && enough(found)) return true;
      await load(`shard-${number}`);
    }
    return false;
  }

  /* A problem by its names, as soon as the list has it; null where it never does. */
  function find(benchmark, id) {
    const key = JSON.stringify([benchmark, id]);
    return new Promise((resolve) => {
      const look = () => {
        if (numbers.has(key)) resolve(numbers.get(key));
        else if (complete || failed) resolve(null);
        else return false;
        return true;
      };
      if (!look()) waiting.add(look);
    });
  }

  async function loadList() {
    let told = 0;
    for (let number = 0; number < header.chunks; number += 1) {
      try {
        await load(`index-${number}`);
      } catch (error) {
        failed = error.message;
        break;
      }
      for (const look of waiting) if (look()) waiting.delete(look);
      const now = performance.now();
      if (number === 0 || now - told > 700) {
        listeners.forEach((listen) => listen());
        told = performance.now();
        await new Promise((resolve) => setTimeout(resolve)); // let it be painted
      }
      // the page counts as loaded when it shows something, not when the last part is there
      if (document.readyState !== "complete") {
        await new Promise((resolve) => window.addEventListener("load", () => setTimeout(resolve), { once: true }));
      }
    }
    complete = failed === null;
    for (const look of waiting) look();
    waiting.clear();
    listeners.forEach((listen) => listen());
    document.documentElement.dataset.listed = complete ? "all" : "part";
  }

  /* Whether a loaded sample of a problem holds a text (lower case). */
  function holds(problem, wanted) {
    for (const source of problem.tallies.keys()) {
      const found = units.get(`${problem.number}/${source}`);
      if (!found) continue;
      for (const sample of found.samples.values()) {
        found.lower ??= new Map();
        if (!found.lower.has(sample.i)) found.lower.set(sample.i, (sample.steps ?? []).join("").toLowerCase());
        if (found.lower.get(sample.i).includes(wanted)) return true;
      }
    }
    return false;
  }

  return {
    header, title, problems, texts, units, listed, shard, unit, load, loadUnit, find, loadList, holds,
    whenListed: (listen) => listeners.add(listen),
    state: () => ({ complete, failed }),
  };
})();
