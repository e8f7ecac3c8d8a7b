"use strict";
/* Addresses: every view has one, made of names that a later viewer of the same run has too.
 *
 *   #/problems?source=RUN/POOL/VERSION&with=…&outcome=…&level=…&q=…&sort=…&page=…
 *   #/problem/BENCHMARK/ID/RUN/POOL/VERSION/sample/N        (or …/tree/0.1.2)
 *   #/runs
 */
viewer.address = (() => {
  const { header } = viewer.data;
  const coded = (...names) => names.map((name) => encodeURIComponent(name)).join("/");
  const nameOf = (source) => coded(header.runs[source.run].name, source.pool, source.version);

  function decoded(name) {
    try { return decodeURIComponent(name); } catch { return name; }
  }

  /* The place as a list of names, and what follows the question mark. */
  function read() {
    const [path, query = ""] = location.hash.replace(/^#\/?/, "").split(/\?(.*)/s);
    return { names: path.split("/").map(decoded), query: new URLSearchParams(query) };
  }

  function sourceOf(run, pool, version) {
    return header.sources.find((source) =>
      header.runs[source.run].name === run && source.pool === pool && String(source.version) === version) ?? null;
  }
  const sourceNamed = (name) => sourceOf(...(name ?? "").split("/").map(decoded));

  function problem(one, source, ...rest) {
    const place = source ? `/${nameOf(source)}` : "";
    const more = rest.length ? `/${coded(...rest)}` : "";
    return `#/problem/${coded(one.benchmark, one.id)}${place}${more}`;
  }

  function list(state) {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(state)) {
      if (value !== "" && value !== null && value !== undefined) query.set(name, value);
    }
    const said = query.toString();
    return `#/problems${said ? `?${said}` : ""}`;
  }

  return { read, sourceOf, sourceNamed, nameOf, problem, list };
})();
