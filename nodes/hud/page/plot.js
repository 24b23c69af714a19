// The moving plot of compute grants: CPU shares stacked by workload, the mode as a band below, hazards marked.

const WINDOW_S = 60;
const BAND_PX = 8;
const AXIS_PX = 34;

export const COLOURS = ["#2fc4d6", "#7aa7ff", "#5fd8a0", "#b58cff", "#ff9db0", "#e2c25a", "#6fd3ff", "#ff9a5c", "#93b38a", "#c7a27c", "#8f9bd6", "#62b6a6"];
export const MODES = { none: "#2a3642", parked: "#60738a", nominal: "#2f8f6b", demanding: "#b89532", hazard: "#ff5350", limp: "#8b63c9", thermal: "#c9703a" };

export class Plot {
  #canvas;
  #samples = [];
  #arrived = 0;
  #still = matchMedia("(prefers-reduced-motion: reduce)");
  #visible = true;

  constructor(canvas) {
    this.#canvas = canvas;
    new ResizeObserver(() => this.#draw()).observe(canvas);
    new IntersectionObserver(([entry]) => { this.#visible = entry.isIntersecting; }).observe(canvas);
    const frame = () => {
      if (this.#visible && !this.#still.matches && this.#samples.length) this.#draw();
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  }

  restart(samples) {
    this.#samples = samples;
    this.#arrived = performance.now();
    this.#draw();
  }

  add(sample) {
    const last = this.#samples.at(-1);
    // A clock that went back belongs to another run.
    if (last && sample.t_s < last.t_s) this.#samples = [];
    if (last && sample.t_s === last.t_s) return;
    this.#samples.push(sample);
    while (this.#samples.length > 2 && this.#samples[1].t_s < sample.t_s - WINDOW_S - 1) this.#samples.shift();
    this.#arrived = performance.now();
    if (this.#still.matches) this.#draw();
  }

  #draw() {
    const ratio = devicePixelRatio || 1;
    const [w, h] = [this.#canvas.clientWidth, this.#canvas.clientHeight];
    if (!w || !h) return;
    if (this.#canvas.width !== Math.round(w * ratio) || this.#canvas.height !== Math.round(h * ratio)) {
      this.#canvas.width = Math.round(w * ratio);
      this.#canvas.height = Math.round(h * ratio);
    }
    const g = this.#canvas.getContext("2d");
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    g.clearRect(0, 0, w, h);
    g.font = "11px B612, sans-serif";
    const area = { x: AXIS_PX, y: 8, w: w - AXIS_PX, h: h - 8 - BAND_PX - 24 };
    const last = this.#samples.at(-1);
    // Between two samples the plot moves on, by at most the time between two.
    const glide = this.#still.matches ? 0 : Math.min((performance.now() - this.#arrived) / 1000, 0.15);
    const end = last ? last.t_s + glide : 0;
    const x = (t) => area.x + area.w * (1 - (end - t) / WINDOW_S);
    this.#grid(g, area, h);
    if (!last) return;
    g.save();
    g.beginPath();
    g.rect(area.x, 0, area.w, h);
    g.clip();
    this.#stack(g, area, x, end);
    this.#bands(g, area, x, end);
    g.restore();
  }

  #grid(g, area, h) {
    g.strokeStyle = "#1f2a35";
    g.fillStyle = "#8c9bab";
    g.lineWidth = 1;
    g.textAlign = "right";
    g.textBaseline = "middle";
    for (const share of [0, 0.5, 1]) {
      const y = Math.round(area.y + area.h * (1 - share)) + 0.5;
      g.beginPath();
      g.moveTo(area.x, y);
      g.lineTo(area.x + area.w, y);
      g.stroke();
      g.fillText(`${share * 100}%`, area.x - 6, y);
    }
    g.textBaseline = "alphabetic";
    for (const [text, at, align] of [["60 s ago", 0, "left"], ["30 s", 0.5, "center"], ["now", 1, "right"]]) {
      g.textAlign = align;
      g.fillText(text, area.x + area.w * at, h - 2);
    }
  }

  #stack(g, area, x, end) {
    const samples = this.#samples;
    const series = samples.at(-1).shares.length;
    const below = new Float64Array(samples.length);
    const y = (share) => area.y + area.h * (1 - Math.min(share, 1));
    for (let i = 0; i < series; i++) {
      g.beginPath();
      samples.forEach((s, n) => {
        // Steps: a grant is in force until the next.
        const level = y(below[n] + (s.shares[i] ?? 0));
        if (n) g.lineTo(x(s.t_s), y(below[n - 1] + (samples[n - 1].shares[i] ?? 0)));
        g.lineTo(x(s.t_s), level);
      });
      const top = samples.length - 1;
      g.lineTo(x(end), y(below[top] + (samples[top].shares[i] ?? 0)));
      g.lineTo(x(end), y(below[top]));
      for (let n = top; n >= 0; n--) {
        g.lineTo(x(samples[n].t_s), y(below[n]));
        if (n) g.lineTo(x(samples[n].t_s), y(below[n - 1]));
      }
      g.closePath();
      g.globalAlpha = 0.72;
      g.fillStyle = COLOURS[i % COLOURS.length];
      g.fill();
      g.globalAlpha = 1;
      samples.forEach((s, n) => { below[n] += s.shares[i] ?? 0; });
    }
  }

  #bands(g, area, x, end) {
    const runs = (key) => {
      const found = [];
      for (const s of this.#samples) {
        if (found.at(-1)?.value === s[key]) continue;
        if (found.length) found.at(-1).until = s.t_s;
        found.push({ value: s[key], from: s.t_s, until: end });
      }
      return found;
    };
    for (const { value, from, until } of runs("mode")) {
      g.fillStyle = MODES[value] ?? MODES.none;
      g.fillRect(x(from), area.y + area.h + 4, x(until) - x(from), BAND_PX);
    }
    for (const { value, from, until } of runs("hazard")) {
      if (!value) continue;
      g.fillStyle = "rgb(255 83 80 / .2)";
      g.fillRect(x(from), area.y, x(until) - x(from), area.h);
      g.fillStyle = MODES.hazard;
      g.fillRect(x(from), area.y, 1.5, area.h);
    }
  }
}
