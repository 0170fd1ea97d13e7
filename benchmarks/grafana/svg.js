// The page as SVG: boxes, borders and texts of the document, and what was drawn on canvases, call by call.
(() => {
  const round = (number) => Math.round(number * 10) / 10;
  const escaped = (text) => text.replace(/[&<>"]/g, (sign) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[sign]);
  const seen = (color) => color && color !== 'transparent' && !/^rgba.*, 0\)$/.test(color);

  // Paths that remember themselves as SVG does; a canvas lets a path begin with a line.
  window.Path2D = class extends window.Path2D {
    constructor(other) { super(other); this.text = other?.text ?? ''; }
    #add(text) { this.text += this.text ? text : text.replace('L', 'M'); }
    moveTo(x, y) { super.moveTo(x, y); this.#add(`M${round(x)} ${round(y)}`); }
    lineTo(x, y) { super.lineTo(x, y); this.#add(`L${round(x)} ${round(y)}`); }
    rect(x, y, w, h) { super.rect(x, y, w, h); this.#add(`M${round(x)} ${round(y)}h${round(w)}v${round(h)}h${round(-w)}Z`); }
    closePath() { super.closePath(); this.#add('Z'); }
  };

  const logs = new Map();
  const getContext = HTMLCanvasElement.prototype.getContext;
  HTMLCanvasElement.prototype.getContext = function (kind, ...options) {
    const context = getContext.call(this, kind, ...options);
    if (!logs.has(this)) {
      const log = [];
      const proxy = new Proxy(context, {
        get: (target, name) => typeof target[name] !== 'function' ? target[name]
          : (...given) => { log.push([name, given]); return target[name](...given); },
        set: (target, name, value) => { log.push([name, value]); target[name] = value; return true; },
      });
      logs.set(this, { proxy, log });
    }
    return logs.get(this).proxy;
  };

  let clips = 0;
  function drawn(canvas, { left, top }) {
    let out = '', path = new Path2D(), state = { dash: '', move: '', open: 0 };
    const kept = [];
    const filled = (text) => { if (text && seen(state.fillStyle)) out += `<path d="${text}" fill="${state.fillStyle}"${state.move}/>`; };
    const does = {
      save: () => { kept.push({ ...state }); state.open = 0; },
      restore: () => { out += '</g>'.repeat(state.open); state = kept.pop(); },
      clearRect: () => { out = ''; },
      beginPath: () => { path = new Path2D(); },
      setLineDash: (dash) => { state.dash = dash.length ? ` stroke-dasharray="${dash}"` : ''; },
      translate: (x, y) => { state.move = x > 0 || y > 0 ? ` transform="translate(${round(x)},${round(y)})"` : ''; },
      setTransform: () => { state.move = ''; },
      fill: (given) => filled((given ?? path).text),
      fillRect: (...place) => { const box = new Path2D(); box.rect(...place); filled(box.text); },
      stroke: (given) => {
        const { text } = given ?? path;
        if (text) out += `<path d="${text}" fill="none" stroke="${state.strokeStyle}" stroke-width="${state.lineWidth}"${state.dash}${state.move}/>`;
      },
      clip: (given) => {
        clips += 1;
        state.open += 1;
        out += `<clipPath id="clip${clips}"><path d="${(given ?? path).text}"/></clipPath><g clip-path="url(#clip${clips})">`;
      },
      fillText: (text, x, y) => {
        const anchor = { right: 'end', end: 'end', center: 'middle' }[state.textAlign] ?? 'start';
        const size = Number(state.font.match(/([\d.]+)px/)[1]);
        const down = size * ({ top: 0.8, middle: 0.35 }[state.textBaseline] ?? 0);
        out += `<text x="${round(x)}" y="${round(y + down)}" font-size="${size}" text-anchor="${anchor}" fill="${state.fillStyle}">${escaped(text)}</text>`;
      },
    };
    for (const [name, given] of logs.get(canvas)?.log ?? [])
      if (!Array.isArray(given)) state[name] = given;
      else if (name in does) does[name](...given);
      else path[name]?.(...given);
    return `<g transform="translate(${round(left)},${round(top)})">${out}</g>`;
  }

  // The lines of a text, as the browser broke them.
  function written(node, style, clip) {
    const range = document.createRange(), lines = [];
    for (const word of node.data.matchAll(/\S+/g)) {
      range.setStart(node, word.index);
      range.setEnd(node, word.index + word[0].length);
      const box = range.getBoundingClientRect(), last = lines.at(-1);
      if (last && Math.abs(last.box.top - box.top) < 2) last.words += ` ${word[0]}`;
      else if (box.width && box.bottom <= clip) lines.push({ box, words: word[0] });
    }
    const bold = Number(style.fontWeight) >= 500 ? ` font-weight="${style.fontWeight}"` : '';
    const look = `font-size="${round(parseFloat(style.fontSize))}"${bold} fill="${style.color}"`;
    return lines.map(({ box, words }) => `<text x="${round(box.left)}" y="${round(box.top + box.height * 0.79)}" ${look}>${escaped(words)}</text>`).join('');
  }

  function boxed(style, { left, top, right, bottom, width }, clip) {
    const [x, y, far, low] = [left, top, right, Math.min(bottom, clip)].map(round);
    const color = seen(style.backgroundColor) ? style.backgroundColor : style.backgroundImage.match(/rgba?\([^)]*\)/g)?.at(-1);
    const sides = { Top: `M${x} ${y}H${far}`, Bottom: `M${x} ${low}H${far}`, Left: `M${x} ${y}V${low}`, Right: `M${far} ${y}V${low}` };
    const rounded = parseFloat(style.borderRadius) ? ` rx="${parseFloat(style.borderRadius)}"` : '';
    let out = seen(color) && width && low > y ? `<rect x="${x}" y="${y}" width="${round(width)}" height="${round(low - y)}"${rounded} fill="${color}"/>` : '';
    for (const [side, line] of Object.entries(sides))
      if (parseFloat(style[`border${side}Width`]) && seen(style[`border${side}Color`])) out += `<path d="${line}" stroke="${style[`border${side}Color`]}"/>`;
    return out;
  }

  function walk(element, clip) {
    const style = getComputedStyle(element), box = element.getBoundingClientRect();
    if (style.display === 'none' || style.visibility === 'hidden' || style.opacity === '0' || box.top >= clip - 1) return '';
    if (element instanceof HTMLCanvasElement) return drawn(element, box);
    if (element instanceof SVGSVGElement) return `<g transform="translate(${round(box.left)},${round(box.top)})">${element.innerHTML}</g>`;
    const inner = style.overflowY === 'visible' ? clip : Math.min(clip, box.bottom);
    let out = boxed(style, box, clip);
    for (const child of element.childNodes) {
      if (child instanceof Text) out += written(child, style, inner);
      else if (child instanceof Element && child.tagName !== 'STYLE') out += walk(child, inner);
    }
    return out;
  }

  window.picture = (width, height) => {
    const ground = getComputedStyle(document.body).backgroundColor;
    const content = walk(document.getElementById('root'), Infinity).replaceAll('><', '>\n<');
    return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="Inter, Helvetica, Arial, sans-serif">
<rect width="${width}" height="${height}" fill="${ground}"/>${content}
</svg>
`;
  };
})();
