// Where the data comes from: scripts beside the page, or the server that report-vico --serve runs.
"use strict";
(() => {
  const arrived = new Map();
  const under_way = new Map();
  vico.receive = (name, value) => arrived.set(name, value);

  const load = (name, file) => {
    if (!under_way.has(name)) {
      under_way.set(name, new Promise((done, failed) => {
        const script = vico.h("script", { src: `data/${file}` });
        script.onload = () => (arrived.has(name) ? done(arrived.get(name)) : failed(new Error(`${file} is empty`)));
        script.onerror = () => failed(new Error(`data/${file} cannot be loaded`));
        document.head.append(script);
      }));
    }
    return under_way.get(name);
  };

  const chunks = (count, size) => Math.ceil(count / size);
  const store = { summary: null };
  vico.store = store;

  store.open = async () => { store.summary = await load("summary", "summary.js"); };
  store.video = (number) => load(`video-${number}`, `video-${String(number).padStart(6, "0")}.js`);

  store.videos = async function* () {
    for (let at = 0; at < chunks(store.summary.videos_shown, store.summary.videos_a_chunk); at += 1) {
      yield await load(`videos-${at}`, `videos-${String(at).padStart(5, "0")}.js`);
    }
  };

  const questions = async function* () {
    for (let at = 0; at < chunks(store.summary.questions_shown, store.summary.questions_a_chunk); at += 1) {
      yield await load(`questions-${at}`, `questions-${String(at).padStart(5, "0")}.js`);
    }
  };

  const fits = (filters, words) => (row) =>
    Object.entries(filters).every(([name, value]) => row.facets[name] === value)
    && words.every((word) => (row.searched ??=
      [row.sample_id, row.question, ...row.options, row.answer, row.video_name].join("\n").toLowerCase()).includes(word));

  // Questions that fit, page after page: {rows, total, complete}; total grows until complete.
  store.search = async function* (filters, text) {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    if (store.summary.served) {
      yield* searchServed(filters, text);
      return;
    }
    let total = 0;
    for await (const chunk of questions()) {
      const rows = chunk.filter(fits(filters, words));
      total += rows.length;
      yield { rows, total, complete: false };
    }
    yield { rows: [], total, complete: true };
  };

  const searchServed = async function* (filters, text) {
    let offset = 0;
    for (;;) {
      const query = new URLSearchParams({ ...filters, q: text, offset });
      const found = await store.ask(`api/questions?${query}`);
      offset += found.rows.length;
      const complete = offset >= found.total || !found.rows.length;
      yield { rows: found.rows, total: found.total, complete };
      if (complete) return;
    }
  };

  store.question = async (id) => {
    if (store.summary.served) {
      const found = await store.ask(`api/questions?${new URLSearchParams({ id })}`);
      return found.rows[0] || null;
    }
    for await (const chunk of questions()) {
      const row = chunk.find((one) => one.sample_id === id);
      if (row) return row;
    }
    return null;
  };

  store.ask = async (address, body) => {
    const response = await fetch(address, body === undefined ? {} : {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
    });
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.error);
    return answer;
  };
})();
