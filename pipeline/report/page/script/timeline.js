// A video along its time: lanes of shots, clips, clues and questions, as one SVG.
"use strict";
(() => {
  const { h, s } = vico;
  const RIGHT = 8;
  const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200];

  // One lane: {name, height, marks: [{from, to?, kind, hint, href?}]}; a mark without `to` is a tick.
  // The ruler begins at `from` seconds, the marks count from there.
  const timeline = (label, duration, lanes, width, from) => {
    const left = Math.min(150, 16 + 6.2 * Math.max(...lanes.map((lane) => lane.name.length)));
    const x = (seconds) => left + (width - left - RIGHT) * seconds / duration;
    let y = 26;
    const drawn = lanes.map((lane) => {
      const group = s("g", { class: `lane ${lane.class || ""}` },
        s("text", { class: "lane-name", x: 0, y: y + lane.height / 2 + 4 }, lane.name.length > 22 ? `${lane.name.slice(0, 21)}…` : lane.name),
        lane.bare ? null : s("rect", { class: "lane-bed", x: left, y, width: width - left - RIGHT, height: lane.height, rx: 3 }),
        lane.marks.map((mark) => draw(mark, x, y, lane.height)));
      y += lane.height + 8;
      return group;
    });
    return s("svg", { class: "timeline", width, height: y, viewBox: `0 0 ${width} ${y}`, role: "group", "aria-label": label },
      ruler(duration, x, y, from), drawn);
  };

  const draw = (mark, x, y, height) => {
    const shape = mark.to === undefined
      ? s("line", { class: `tick ${mark.kind}`, x1: x(mark.from), x2: x(mark.from), y1: y, y2: y + height })
      : s("rect", { class: `block ${mark.kind}`, x: x(mark.from), y: y + (mark.inset || 0), rx: Math.min(2, height / 4),
        width: Math.max(1.5, x(mark.to) - x(mark.from) - (mark.gap ?? 1)), height: height - 2 * (mark.inset || 0) });
    shape.append(s("title", {}, mark.hint));
    return mark.href ? s("a", { href: mark.href, "aria-label": mark.hint }, shape) : shape;
  };

  const ruler = (duration, x, bottom, from) => {
    const pixels = x(duration) - x(0);
    const step = STEPS.find((one) => pixels * one / duration >= 64) || 14400;
    const times = Array.from({ length: Math.floor(duration / step) + 1 }, (_, at) => at * step);
    return s("g", { class: "ruler", "aria-hidden": "true" }, times.map((time) => [
      s("line", { x1: x(time), x2: x(time), y1: 18, y2: bottom }),
      s("text", { x: x(time), y: 12, "text-anchor": !time ? "start" : x(time) > x(duration) - 16 ? "end" : "middle" }, vico.clock(time + from))]));
  };

  // A timeline as wide as its place, times a zoom that buttons change; drawn anew when the place changes its width.
  vico.zoomable = (label, duration, lanes, from = 0) => {
    let zoom = 1;
    const place = h("div", { class: "timeline-place", tabindex: 0, role: "region", "aria-label": label });
    const redraw = () => {
      if (!place.clientWidth) return;
      const middle = (place.scrollLeft + place.clientWidth / 2) / Math.max(1, place.scrollWidth);
      place.replaceChildren(timeline(label, duration, lanes(), Math.round(place.clientWidth * zoom), from));
      place.scrollLeft = middle * place.scrollWidth - place.clientWidth / 2;
    };
    const by = (factor) => () => { zoom = Math.min(64, Math.max(1, zoom * factor)); redraw(); };
    let width = 0;
    new ResizeObserver(() => {
      if (place.clientWidth !== width) { width = place.clientWidth; redraw(); }
    }).observe(place);
    const element = h("div", { class: "zoomable" },
      h("div", { class: "zoom", role: "group", "aria-label": "Zoom" },
        h("button", { type: "button", class: "quiet", onclick: by(1 / 2), "aria-label": "Zoom out" }, "−"),
        h("button", { type: "button", class: "quiet", onclick: by(2), "aria-label": "Zoom in" }, "+")),
      place);
    return { element, redraw };
  };
})();
