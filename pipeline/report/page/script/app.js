// Which sheet is shown: what stands after # in the address says so.
"use strict";
(() => {
  const { h } = vico;
  const main = document.getElementById("main");
  let leave = () => {};
  let turn = 0;

  // Keys act unless a field is being written in, or a modifier is held; returns what takes them away.
  vico.keys = (actions) => {
    const act = (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input:not([type=checkbox]), textarea, select")) return;
      const action = actions[event.key];
      if (action) {
        event.preventDefault();
        action();
      }
    };
    addEventListener("keydown", act);
    return () => removeEventListener("keydown", act);
  };

  const sheets = () => {
    const { summary } = vico.store;
    return [
      { path: "", name: "Overview", draw: () => ({ element: h("div", { class: "overview" }, vico.overview()), leave: () => {} }) },
      { path: "questions", name: "Questions", draw: vico.questions },
      { path: "videos", name: "Videos", draw: vico.videos },
      { path: "video", draw: vico.videoSheet },
      summary.served && { path: "sql", name: "SQL", draw: vico.sql },
      summary.review && { path: "review", name: "Review", draw: vico.review },
    ].filter(Boolean);
  };

  const route = () => {
    const [path, query] = location.hash.replace(/^#\/?/, "").split("?", 2);
    return { path: path.split("/"), query: new URLSearchParams(query || "") };
  };

  const show = async () => {
    const mine = turn += 1;
    const here = route();
    const known = sheets();
    const sheet = known.find(({ path }) => path === here.path[0]) || known[0];
    const first = turn === 1;
    leave();
    leave = () => {};
    const drawn = await sheet.draw(here);
    if (mine !== turn) {
      drawn.leave();
      return;
    }
    leave = drawn.leave;
    main.replaceChildren(drawn.element);
    navigation(known, sheet);
    document.title = `${sheet.name || "Video"} · ${vico.store.summary.name}`;
    scrollTo(0, 0);
    if (!first) main.focus({ preventScroll: true });
    if (drawn.shown) requestAnimationFrame(drawn.shown);
  };

  const navigation = (known, current) => document.getElementById("nav").replaceChildren(
    ...known.filter(({ name }) => name).map(({ path, name }) => h("a", {
      href: `#/${path}`, "aria-current": path === current.path || (path === "videos" && current.path === "video") ? "page" : null }, name)));

  const fault = (error) => main.replaceChildren(h("p", { class: "fault", role: "alert" }, error.message));

  addEventListener("hashchange", () => show().catch(fault));
  vico.store.open().then(() => {
    document.getElementById("data-set-name").textContent = vico.store.summary.name;
    if (vico.store.summary.review && !location.hash) location.replace("#/review");
    else return show();
  }).catch(fault);
})();
