//! Small sounds, made on the spot: a tin that is hit, a string that is plucked, a point.

import { recall, remember } from './store.ts';

export class Sound {
  #context: AudioContext | undefined;
  #on = recall('sound') !== 'off';

  get on(): boolean {
    return this.#on;
  }

  toggle(): boolean {
    this.#on = !this.#on;
    remember('sound', this.#on ? 'on' : 'off');
    return this.#on;
  }

  /** Browsers let a page sound only after its visitor did something: call this from a click or a key. */
  wake(): void {
    if (typeof AudioContext === 'undefined') return;
    this.#context ??= new AudioContext();
    if (this.#context.state === 'suspended') void this.#context.resume().catch(() => undefined);
  }

  tin(speed: number): void {
    this.#tone(520 + 180 * speed, 0.09, 'triangle', 0.11);
    this.#tone(1490 + 90 * speed, 0.05, 'sine', 0.04);
  }

  pluck(rally: number): void {
    const scale = [0, 2, 4, 7, 9];
    const note = (scale[rally % 5] ?? 0) + 12 * Math.floor((rally % 15) / 5);
    this.#tone(196 * 2 ** (note / 12), 0.55, 'sawtooth', 0.05);
  }

  tick(last: boolean): void {
    this.#tone(last ? 880 : 587, 0.12, 'sine', 0.07);
  }

  point(mine: boolean): void {
    const notes = mine ? [523, 659, 784] : [392, 330, 262];
    notes.forEach((note, at) => this.#tone(note, 0.22, 'triangle', 0.09, at * 0.09));
  }

  #tone(hertz: number, seconds: number, type: OscillatorType, volume: number, delay = 0): void {
    const context = this.#context;
    if (!this.#on || !context || context.state !== 'running') return;
    const start = context.currentTime + delay;
    const oscillator = context.createOscillator();
    const gain = context.createGain();
    const filter = context.createBiquadFilter();
    filter.type = 'lowpass';
    filter.frequency.setValueAtTime(Math.min(hertz * 6, 9000), start);
    filter.frequency.exponentialRampToValueAtTime(Math.max(hertz, 200), start + seconds);
    oscillator.type = type;
    oscillator.frequency.value = hertz;
    gain.gain.setValueAtTime(volume, start);
    gain.gain.exponentialRampToValueAtTime(0.0001, start + seconds);
    oscillator.connect(filter).connect(gain).connect(context.destination);
    oscillator.start(start);
    oscillator.stop(start + seconds);
  }
}
