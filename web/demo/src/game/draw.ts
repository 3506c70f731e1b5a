//! Draws the table on a canvas: paper, stitches, two tins, the string between them and the button. Keeps only what moves
//! for the eye alone (the string's swing, sparks, the trail); the world comes from outside, own side first.

import { BALL_RADIUS, CAN_HALF, FACE_X, LENGTH, type World, stringAt } from './physics.ts';

export interface Palette {
  table: string;
  stitch: string;
  ink: string;
  string: string;
  button: string;
  buttonDark: string;
  mine: string;
  theirs: string;
  tin: string;
  tinLight: string;
  tinDark: string;
  paper: string;
  wood: string;
}

interface Spark {
  x: number;
  y: number;
  vx: number;
  vy: number;
  age: number;
  life: number;
  color: string;
}

const MARGIN = 0.035;
const CAN_BACK = 0.02;
const SPARKS_MAX = 120;

export class Drawing {
  readonly #canvas: HTMLCanvasElement;
  readonly #context: CanvasRenderingContext2D;
  #sparks: Spark[] = [];
  #trail: { x: number; y: number }[] = [];
  #swing = 0;
  #swingPhase = 0;
  #swingAt = 0.5;
  #turn = 0;
  #shake = 0;
  #unit = 1;
  #seed = 7;
  calm = false;

  constructor(canvas: HTMLCanvasElement) {
    const context = canvas.getContext('2d');
    if (!context) throw new Error('this browser draws no canvas');
    this.#canvas = canvas;
    this.#context = context;
  }

  /** Whether the table stands upright (own can at the bottom), as it does on a phone. */
  get portrait(): boolean {
    return this.#canvas.clientHeight > this.#canvas.clientWidth;
  }

  /** Where on the table's width a point of the canvas (in CSS pixels) is. */
  across(x: number, y: number): number {
    const [width, height] = [this.#canvas.clientWidth, this.#canvas.clientHeight];
    const unit = this.#fit(width, height);
    return this.portrait ? (x - width / 2) / unit + 0.5 : (y - height / 2) / unit + 0.5;
  }

  /** The button met something: sparks where it is. */
  hit(world: World): void {
    this.#burst(world.ball.x, world.ball.y, 9, 0.5, ['#fff6e0', '#f2b84b']);
  }

  /** The button crossed the string, which swings. */
  twang(world: World): void {
    this.#swing = this.calm ? 0.008 : 0.05;
    this.#swingPhase = 0;
    this.#swingAt = (world.ball.x - FACE_X) / (LENGTH - 2 * FACE_X);
  }

  /** A point: confetti at the loser's end. */
  point(mineWon: boolean, palette: Palette): void {
    this.#shake = this.calm ? 0 : 1;
    this.#trail = [];
    const x = mineWon ? LENGTH - 0.1 : 0.1;
    this.#burst(x, 0.5, 44, 1.3, [palette.mine, palette.theirs, palette.button, palette.tinLight]);
  }

  frame(world: World, palette: Palette, seconds: number): void {
    this.#resize();
    const context = this.#context;
    const { width, height } = this.#canvas;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, width, height);
    this.#age(world, seconds);
    this.#place(width, height);
    this.#table(palette);
    this.#numerals(world, palette);
    this.#string(world, palette);
    this.#trailOf(palette);
    this.#can(world.cans[0], false, palette, world.away[0]);
    this.#can(world.cans[1], true, palette, world.away[1]);
    // While it counts down, the number stands where the button will be.
    if (world.phase !== 'countdown' || world.timer < 20) this.#button(world, palette);
    this.#sparkle();
    if (world.phase === 'countdown' && !world.away[0] && !world.away[1]) {
      this.#count(Math.ceil(world.timer / 60), (world.timer % 60) / 60, palette);
    } else if (world.hold > 0) this.#count(Math.ceil(world.hold / 60), (world.hold % 60) / 60, palette);
  }

  #resize(): void {
    const ratio = Math.min(window.devicePixelRatio || 1, 2.5);
    const width = Math.round(this.#canvas.clientWidth * ratio);
    const height = Math.round(this.#canvas.clientHeight * ratio);
    if (this.#canvas.width !== width || this.#canvas.height !== height) {
      this.#canvas.width = width;
      this.#canvas.height = height;
    }
  }

  #fit(width: number, height: number): number {
    const [along, across] = this.portrait ? [height, width] : [width, height];
    return Math.min(along / (LENGTH + 2 * MARGIN), across / (1 + 2 * MARGIN));
  }

  #place(width: number, height: number): void {
    const unit = this.#fit(width, height);
    this.#unit = unit;
    const shake = this.#shake * unit * 0.012;
    const dx = shake * (this.#random() - 0.5);
    const dy = shake * (this.#random() - 0.5);
    if (this.portrait) this.#context.setTransform(0, -unit, unit, 0, (width - unit) / 2 + dx, (height + LENGTH * unit) / 2 + dy);
    else this.#context.setTransform(unit, 0, 0, unit, (width - LENGTH * unit) / 2 + dx, (height - unit) / 2 + dy);
  }

  #age(world: World, seconds: number): void {
    this.#shake = Math.max(0, this.#shake - seconds * 3.5);
    this.#swing *= Math.exp(-seconds * 3.2);
    this.#swingPhase += seconds * 46;
    this.#turn += (Math.hypot(world.ball.vx, world.ball.vy) * seconds * Math.sign(world.ball.vy || 1)) / (BALL_RADIUS * 2.5);
    for (const spark of this.#sparks) {
      spark.age += seconds;
      spark.x += spark.vx * seconds;
      spark.y += spark.vy * seconds;
      spark.vx *= 1 - 2.2 * seconds;
      spark.vy *= 1 - 2.2 * seconds;
    }
    this.#sparks = this.#sparks.filter((spark) => spark.age < spark.life);
    if (world.phase === 'play') {
      this.#trail.push({ x: world.ball.x, y: world.ball.y });
      if (this.#trail.length > 14) this.#trail.shift();
    } else this.#trail = [];
  }

  #table(palette: Palette): void {
    const context = this.#context;
    rounded(context, -MARGIN, -MARGIN, LENGTH + 2 * MARGIN, 1 + 2 * MARGIN, 0.07);
    context.fillStyle = palette.wood;
    context.fill();
    rounded(context, -0.026, -0.026, LENGTH + 0.052, 1.052, 0.062);
    context.strokeStyle = mix(palette.wood, '#ffffff', 0.22);
    context.lineWidth = 0.006;
    context.stroke();
    rounded(context, -0.012, -0.012, LENGTH + 0.024, 1.024, 0.05);
    context.fillStyle = palette.table;
    context.fill();
    context.strokeStyle = palette.stitch;
    context.lineWidth = 0.006;
    context.lineCap = 'round';
    context.setLineDash([0.022, 0.02]);
    rounded(context, 0.014, 0.014, LENGTH - 0.028, 0.972, 0.035);
    context.stroke();
    context.beginPath();
    context.moveTo(LENGTH / 2, 0.03);
    context.lineTo(LENGTH / 2, 0.97);
    context.moveTo(LENGTH / 2 + 0.16, 0.5);
    context.arc(LENGTH / 2, 0.5, 0.16, 0, 2 * Math.PI);
    context.stroke();
    context.setLineDash([]);
  }

  #numerals(world: World, palette: Palette): void {
    for (const side of [0, 1] as const) {
      this.#text(String(world.score[side]), side === 0 ? LENGTH * 0.31 : LENGTH * 0.69, 0.5, 0.42, palette.stitch, 0.55);
    }
  }

  #string(world: World, palette: Palette): void {
    const context = this.#context;
    const from = { x: FACE_X, y: world.cans[0] };
    const to = { x: LENGTH - FACE_X, y: world.cans[1] };
    const bend = this.#swing * Math.cos(this.#swingPhase);
    for (const [width, color] of [
      [0.014, palette.paper],
      [0.0085, palette.string],
    ] as const) {
      context.beginPath();
      context.moveTo(from.x, from.y);
      for (let part = 1; part <= 28; part += 1) {
        const u = part / 28;
        const peak = u < this.#swingAt ? u / Math.max(this.#swingAt, 0.05) : (1 - u) / Math.max(1 - this.#swingAt, 0.05);
        const x = from.x + (to.x - from.x) * u;
        context.lineTo(x, stringAt(world, x) + bend * Math.sin((Math.min(peak, 1) * Math.PI) / 2));
      }
      context.strokeStyle = color;
      context.lineWidth = width;
      context.stroke();
    }
  }

  #can(y: number, right: boolean, palette: Palette, away: boolean): void {
    const context = this.#context;
    context.save();
    if (right) {
      context.translate(LENGTH, 0);
      context.scale(-1, 1);
    }
    context.globalAlpha = away ? 0.45 : 1;
    const top = y - CAN_HALF;
    const height = 2 * CAN_HALF;
    context.fillStyle = 'rgba(40, 20, 5, 0.18)';
    rounded(context, CAN_BACK + 0.008, top + 0.014, FACE_X - CAN_BACK, height, 0.02);
    context.fill();
    const metal = context.createLinearGradient(0, top, 0, top + height);
    metal.addColorStop(0, palette.tinDark);
    metal.addColorStop(0.22, palette.tinLight);
    metal.addColorStop(0.5, palette.tin);
    metal.addColorStop(1, palette.tinDark);
    context.fillStyle = metal;
    rounded(context, CAN_BACK, top, FACE_X - CAN_BACK, height, 0.012);
    context.fill();
    const label = context.createLinearGradient(0, top, 0, top + height);
    const color = right ? palette.theirs : palette.mine;
    label.addColorStop(0, mix(color, '#000000', 0.3));
    label.addColorStop(0.22, mix(color, '#ffffff', 0.25));
    label.addColorStop(0.5, color);
    label.addColorStop(1, mix(color, '#000000', 0.35));
    context.fillStyle = label;
    context.fillRect(CAN_BACK + 0.028, top, FACE_X - CAN_BACK - 0.056, height);
    context.fillStyle = palette.paper;
    context.globalAlpha *= 0.9;
    context.fillRect(CAN_BACK + 0.036, top, 0.006, height);
    context.fillRect(FACE_X - 0.042, top, 0.006, height);
    context.globalAlpha = away ? 0.45 : 1;
    // The bottom, from which the string comes, and the open mouth at the back.
    context.fillStyle = palette.tinLight;
    context.strokeStyle = palette.tinDark;
    context.lineWidth = 0.005;
    rounded(context, FACE_X - 0.013, top - 0.006, 0.016, height + 0.012, 0.007);
    context.fill();
    context.stroke();
    context.fillStyle = palette.tinDark;
    context.beginPath();
    context.ellipse(CAN_BACK, y, 0.014, CAN_HALF, 0, 0, 2 * Math.PI);
    context.fill();
    context.strokeStyle = palette.tinLight;
    context.stroke();
    context.beginPath();
    context.arc(FACE_X + 0.003, y, 0.012, 0, 2 * Math.PI);
    context.fillStyle = palette.string;
    context.fill();
    context.restore();
  }

  #trailOf(palette: Palette): void {
    const context = this.#context;
    this.#trail.forEach((point, at) => {
      const part = at / this.#trail.length;
      context.globalAlpha = part * 0.22;
      context.fillStyle = palette.button;
      context.beginPath();
      context.arc(point.x, point.y, BALL_RADIUS * (0.35 + 0.6 * part), 0, 2 * Math.PI);
      context.fill();
    });
    context.globalAlpha = 1;
  }

  #button(world: World, palette: Palette): void {
    const context = this.#context;
    context.save();
    context.translate(world.ball.x, world.ball.y);
    context.fillStyle = 'rgba(40, 20, 5, 0.22)';
    context.beginPath();
    context.arc(0.006, 0.01, BALL_RADIUS, 0, 2 * Math.PI);
    context.fill();
    context.rotate(this.#turn);
    context.beginPath();
    context.arc(0, 0, BALL_RADIUS, 0, 2 * Math.PI);
    context.fillStyle = palette.button;
    context.fill();
    context.lineWidth = 0.005;
    context.strokeStyle = palette.buttonDark;
    context.stroke();
    context.beginPath();
    context.arc(0, 0, BALL_RADIUS * 0.68, 0, 2 * Math.PI);
    context.lineWidth = 0.0035;
    context.stroke();
    context.fillStyle = palette.buttonDark;
    for (const [x, y] of [[-1, -1], [1, -1], [-1, 1], [1, 1]] as const) {
      context.beginPath();
      context.arc(x * BALL_RADIUS * 0.27, y * BALL_RADIUS * 0.27, BALL_RADIUS * 0.14, 0, 2 * Math.PI);
      context.fill();
    }
    context.restore();
  }

  #sparkle(): void {
    const context = this.#context;
    for (const spark of this.#sparks) {
      context.globalAlpha = 1 - spark.age / spark.life;
      context.fillStyle = spark.color;
      context.beginPath();
      context.arc(spark.x, spark.y, 0.009, 0, 2 * Math.PI);
      context.fill();
    }
    context.globalAlpha = 1;
  }

  #count(number: number, part: number, palette: Palette): void {
    if (number < 1) return;
    const size = this.calm ? 0.3 : 0.24 + 0.14 * part;
    this.#text(String(number), LENGTH / 2, 0.5, size, palette.ink, this.calm ? 1 : 0.35 + 0.65 * part, palette.table);
  }

  /** Text stands upright, however the table does. */
  #text(text: string, x: number, y: number, size: number, color: string, alpha: number, edge?: string): void {
    const context = this.#context;
    const at = context.getTransform().transformPoint({ x, y });
    context.save();
    context.setTransform(1, 0, 0, 1, at.x, at.y);
    context.font = `800 ${Math.round(size * this.#unit)}px ui-rounded, "Nunito", "Avenir Next", system-ui, sans-serif`;
    context.textAlign = 'center';
    context.textBaseline = 'middle';
    context.globalAlpha = alpha;
    if (edge !== undefined) {
      context.strokeStyle = edge;
      context.lineWidth = 0.06 * this.#unit;
      context.lineJoin = 'round';
      context.strokeText(text, 0, size * this.#unit * 0.04);
    }
    context.fillStyle = color;
    context.fillText(text, 0, size * this.#unit * 0.04);
    context.restore();
  }

  #burst(x: number, y: number, count: number, speed: number, colors: readonly string[]): void {
    if (this.calm) return;
    for (let at = 0; at < count && this.#sparks.length < SPARKS_MAX; at += 1) {
      const angle = this.#random() * 2 * Math.PI;
      const fast = speed * (0.3 + 0.7 * this.#random());
      const color = colors[at % colors.length] ?? '#ffffff';
      this.#sparks.push({ x, y, vx: fast * Math.cos(angle), vy: fast * Math.sin(angle), age: 0, life: 0.35 + 0.5 * this.#random(), color });
    }
  }

  #random(): number {
    this.#seed = (Math.imul(this.#seed, 1_664_525) + 1_013_904_223) >>> 0;
    return this.#seed / 0x1_0000_0000;
  }
}

function rounded(context: CanvasRenderingContext2D, x: number, y: number, width: number, height: number, radius: number): void {
  context.beginPath();
  context.roundRect(x, y, width, height, radius);
}

/** A colour between two written as #rrggbb. */
export function mix(from: string, to: string, part: number): string {
  const channel = (text: string, at: number): number => Number.parseInt(text.slice(1 + 2 * at, 3 + 2 * at), 16);
  const mixed = [0, 1, 2].map((at) => Math.round(channel(from, at) * (1 - part) + channel(to, at) * part));
  return `#${mixed.map((value) => value.toString(16).padStart(2, '0')).join('')}`;
}
