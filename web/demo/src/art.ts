//! The page's drawings, by hand: tins lying and standing, the word written in string, the server's pole, the relay's box.

import { svg } from './dom.ts';

/** Whose tin it is decides the colour of its label. */
export type Whose = 'mine' | 'theirs';

/** A tin on its side, its bottom (where the string is) at x = 78 of a box from 0 to 78 and -34 to 34; turned round with `flip`. */
export function lyingTin(whose: Whose, x: number, y: number, scale = 1, flip = false): SVGGElement {
  return svg(
    'g',
    { class: `tin ${whose}`, transform: `translate(${x} ${y}) scale(${flip ? -scale : scale} ${scale})` },
    svg('path', { class: 'tin-metal', d: 'M8 -34H68A9 34 0 0 1 68 34H8A9 34 0 0 1 8 -34Z' }),
    svg('path', { class: 'tin-label', d: 'M22 -34H56A9 34 0 0 1 56 34H22A9 34 0 0 0 22 -34Z' }),
    svg('path', { class: 'tin-stripe', d: 'M27 -34A9 34 0 0 1 27 34M51 -34A9 34 0 0 1 51 34' }),
    svg('path', { class: 'tin-rib', d: 'M15 -34A9 34 0 0 1 15 34M62 -34A9 34 0 0 1 62 34' }),
    svg('path', { class: 'tin-shine', d: 'M10 -25Q40 -21 75 -25L75.500 -18Q40 -14 9 -18Z' }),
    svg('path', { class: 'tin-shade', d: 'M8 34H68A9 34 0 0 0 75 17H2A9 34 0 0 0 8 34Z' }),
    svg('ellipse', { class: 'tin-mouth', cx: 8, cy: 0, rx: 9, ry: 34 }),
    svg('path', { class: 'tin-edge', d: 'M8 -34H68A9 34 0 0 1 68 34H8' }),
    svg('circle', { class: 'tin-knot', cx: 77, cy: 0, r: 4 }),
  );
}

/** A standing tin with a label; the lobby's code is printed on it. */
export function labelTin(code: string): SVGSVGElement {
  return svg(
    'svg',
    { viewBox: '0 0 280 252', class: 'label-tin', role: 'img', 'aria-label': `The code is ${[...code].join(' ')}` },
    svg('path', { class: 'tin-floor', d: 'M30 234Q140 262 268 232L256 220H40Z' }),
    svg('path', { class: 'tin-metal', d: 'M24 34V216A116 22 0 0 0 256 216V34Z' }),
    svg('path', { class: 'tin-rib', d: 'M24 46A116 22 0 0 0 256 46M24 54A116 22 0 0 0 256 54M24 206A116 22 0 0 0 256 206' }),
    svg('path', { class: 'tin-label-mine', d: 'M24 64A116 22 0 0 0 256 64V196A116 22 0 0 1 24 196Z' }),
    svg('path', { class: 'tin-label-paper', d: 'M24 88A116 22 0 0 0 256 88V172A116 22 0 0 1 24 172Z' }),
    svg('path', { class: 'tin-stripe', d: 'M24 72A116 22 0 0 0 256 72M24 188A116 22 0 0 0 256 188' }),
    svg('path', { class: 'tin-shine', d: 'M40 40V222Q52 229 64 232V48Z' }),
    svg('path', { class: 'tin-shade', d: 'M256 34V216A116 22 0 0 1 196 235V52A116 22 0 0 0 256 34Z' }),
    svg('ellipse', { class: 'tin-lid', cx: 140, cy: 34, rx: 116, ry: 22 }),
    svg('ellipse', { class: 'tin-lid-ring', cx: 140, cy: 34, rx: 98, ry: 16 }),
    svg('path', { class: 'tin-edge', d: 'M24 34V216A116 22 0 0 0 256 216V34' }),
    svg('path', { class: 'twine-thin', d: 'M140 34C150 10 176 4 196 14S236 34 272 8' }),
    svg('circle', { class: 'tin-knot', cx: 140, cy: 34, r: 5 }),
    svg('text', { class: 'label-code', x: 140, y: 170, 'text-anchor': 'middle', 'font-size': code.length > 6 ? 290 / code.length : code.length > 4 ? 50 : 66, 'data-test': 'code' }, code),
  );
}

/** The name, written with the string itself. */
const WORD =
  'M0 79C16 82 26 76 34 58L48 16C42 36 36 58 38 70C40 82 54 82 64 70C72 60 76 50 79 42C74 58 74 80 88 80C102 80 106 58 108 42C104 60 106 80 120 80C136 80 142 58 136 42C142 54 156 54 166 47C176 40 188 40 194 46C204 56 200 80 182 80C164 80 160 58 172 46C184 40 196 56 212 52C226 48 238 38 250 46C238 38 222 44 222 62C222 82 244 84 256 74C264 67 268 56 280 46C290 38 304 40 308 48C298 38 278 42 276 62C276 84 300 82 308 60L310 44C306 62 306 80 318 80C332 78 336 58 338 44C338 58 336 70 335 80C340 58 350 42 362 42C378 44 364 80 382 80C396 80 404 78 420 79';
const CROSSBAR = 'M32 40C42 38 52 38 64 37';

/** Two tins and the word in between. */
export function wordmark(): SVGSVGElement {
  return svg(
    'svg',
    { viewBox: '-92 0 604 116', class: 'wordmark', role: 'img', 'aria-label': 'Twocan' },
    svg('path', { class: 'twine', d: WORD }),
    svg('path', { class: 'twine-lay', d: WORD }),
    svg('path', { class: 'twine', d: CROSSBAR }),
    svg('path', { class: 'twine-lay', d: CROSSBAR }),
    lyingTin('mine', -78, 79, 1),
    lyingTin('theirs', 498, 79, 1, true),
  );
}

/** The server: a telephone pole, with its foot at 0, 0. */
export function pole(height = 190): SVGGElement {
  const top = -height;
  return svg(
    'g',
    { class: 'pole' },
    svg('path', { class: 'pole-wood', d: `M-5 0L-4 ${top}H4L5 0Z` }),
    svg('path', { class: 'pole-wood', d: `M-40 ${top + 14}H40V${top + 22}H-40Z` }),
    svg('path', { class: 'pole-brace', d: `M-26 ${top + 22}L0 ${top + 46}L26 ${top + 22}` }),
    svg('path', { class: 'pole-cup', d: `M-38 ${top + 14}v-9h8v9zM30 ${top + 14}v-9h8v9z` }),
  );
}

/** The relay: a box with two reels, its middle at 0, 0. */
export function relayBox(): SVGGElement {
  return svg(
    'g',
    { class: 'relay-box' },
    svg('rect', { class: 'relay-case', x: -30, y: -17, width: 60, height: 34, rx: 6 }),
    svg('circle', { class: 'relay-reel', cx: -13, cy: -1, r: 9 }),
    svg('circle', { class: 'relay-reel', cx: 13, cy: -1, r: 9 }),
    svg('text', { class: 'relay-word', x: 38, y: 5 }, 'relay'),
  );
}

/** A small bird that likes a tight string, its feet at 0, 0. */
export function bird(): SVGGElement {
  return svg(
    'g',
    { class: 'bird' },
    svg('path', { class: 'bird-legs', d: 'M-3 0V-6M4 0V-6' }),
    svg('path', { class: 'bird-body', d: 'M-26 -4C-18 -8 -14 -22 2 -22C4 -32 20 -34 22 -22L30 -19L22 -16C20 -4 4 -2 -6 -5C-14 -3 -20 -3 -26 -4Z' }),
    svg('path', { class: 'bird-wing', d: 'M-12 -10C-6 -18 4 -18 8 -14C4 -7 -4 -6 -12 -10Z' }),
    svg('circle', { class: 'bird-eye', cx: 15, cy: -24, r: 1.8 }),
  );
}

/** A padlock, for lobbies with a password. */
export function padlock(): SVGSVGElement {
  return svg(
    'svg',
    { viewBox: '0 0 20 22', class: 'padlock', role: 'img', 'aria-label': 'needs a password' },
    svg('path', { d: 'M5.500 10V6.500a4.500 4.500 0 0 1 9 0V10', fill: 'none', stroke: 'currentColor', 'stroke-width': 2.2 }),
    svg('rect', { x: 2.500, y: 9.500, width: 15, height: 11, rx: 2.500, fill: 'currentColor' }),
  );
}
