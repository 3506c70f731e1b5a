//! The rules of the game.

import { describe, expect, it } from 'vitest';
import { BALL_RADIUS, CAN_HALF, COUNTDOWN_FIRST, COUNTDOWN_RESUME, FACE_X, LENGTH, TICK_S, WINNING_SCORE, type World, newWorld, setAway, step, stringAt } from './physics.ts';

const MARGIN = 1e-9;

/** A world in play, with the button where the test wants it. */
function playing(ball: World['ball'], cans: [number, number] = [0.5, 0.5]): World {
  return { ...newWorld(), phase: 'play', timer: 0, ball, cans, targets: [...cans] };
}

function steps(world: World, count: number, decide = true): void {
  for (let at = 0; at < count; at += 1) step(world, decide);
}

const speed = (world: World): number => Math.hypot(world.ball.vx, world.ball.vy);

describe('the rules', () => {
  it('serves towards the receiver after the countdown, and not before', () => {
    const world = newWorld();
    steps(world, COUNTDOWN_FIRST - 1);
    expect(world.phase).toBe('countdown');
    expect(world.ball.vx).toBe(0);
    step(world, true);
    expect(world.phase).toBe('play');
    expect(world.ball.vx).toBeGreaterThan(0);
  });

  it('a can that stands in the way sends the button back, faster', () => {
    const world = playing({ x: LENGTH - FACE_X - BALL_RADIUS - 0.01, y: 0.5, vx: 1, vy: 0 });
    step(world, true);
    expect(world.ball.vx).toBeLessThan(0);
    expect(speed(world)).toBeGreaterThan(1);
    expect(world.hits).toBe(1);
    expect(world.score).toEqual([0, 0]);
  });

  it('a can that stands elsewhere lets it pass, and the other side gets the point', () => {
    const world = playing({ x: LENGTH - FACE_X - BALL_RADIUS - 0.01, y: 0.9, vx: 1.2, vy: 0 }, [0.5, 0.2]);
    steps(world, 20);
    expect(world.score).toEqual([1, 0]);
    expect(world.phase).toBe('countdown');
    expect(world.receiver).toBe(1);
  });

  it('the further from the middle of the can, the steeper the way back', () => {
    const angle = (y: number): number => {
      const world = playing({ x: FACE_X + BALL_RADIUS + 0.005, y, vx: -1, vy: 0 });
      step(world, true);
      return Math.atan2(world.ball.vy, world.ball.vx);
    };
    expect(angle(0.5)).toBeCloseTo(0, 6);
    expect(angle(0.5 + CAN_HALF / 2)).toBeGreaterThan(0.3);
    expect(angle(0.5 + CAN_HALF)).toBeGreaterThan(angle(0.5 + CAN_HALF / 2));
  });

  it('walls turn the button and keep it on the table', () => {
    const world = playing({ x: 0.8, y: 1 - BALL_RADIUS - 0.001, vx: 0, vy: 1 });
    step(world, true);
    expect(world.ball.vy).toBe(-1);
    expect(world.ball.y).toBeLessThanOrEqual(1 - BALL_RADIUS);
  });

  it('crossing the string twangs it and makes the button faster', () => {
    const world = playing({ x: 0.8, y: 0.495, vx: 0.4, vy: 0.9 });
    const before = speed(world);
    step(world, true);
    expect(world.twangs).toBe(1);
    expect(speed(world)).toBeGreaterThan(before);
  });

  it('the string runs from face to face', () => {
    const world = playing({ x: 0.8, y: 0.2, vx: 0, vy: 0 }, [0.2, 0.8]);
    expect(stringAt(world, FACE_X)).toBeCloseTo(0.2);
    expect(stringAt(world, LENGTH - FACE_X)).toBeCloseTo(0.8);
    expect(stringAt(world, LENGTH / 2)).toBeCloseTo(0.5);
  });

  it('a can moves no faster than it may, and stays on the table', () => {
    const world = playing({ x: 0.8, y: 0.2, vx: 0, vy: 0 });
    world.targets = [9, -9];
    const before = world.cans[0];
    step(world, true);
    expect(world.cans[0] - before).toBeLessThanOrEqual(3.4 * TICK_S + MARGIN);
    steps(world, 60);
    expect(world.cans[0]).toBeCloseTo(1 - CAN_HALF);
    expect(world.cans[1]).toBeCloseTo(CAN_HALF);
  });

  it('never lets the button through a can, however fast it is', () => {
    for (let y = CAN_HALF; y < 1 - CAN_HALF; y += 0.013) {
      const world = playing({ x: 0.9, y, vx: -2.7, vy: 0 }, [y, 0.5]);
      steps(world, 25);
      expect(world.ball.vx).toBeGreaterThan(0);
    }
  });

  it(`ends at ${WINNING_SCORE}, and begins again only when both want it`, () => {
    const world = playing({ x: LENGTH + BALL_RADIUS, y: 0.9, vx: 1, vy: 0 });
    world.score = [WINNING_SCORE - 1, 3];
    step(world, true);
    expect(world.phase).toBe('over');
    world.rematch[0] = true;
    step(world, true);
    expect(world.phase).toBe('over');
    world.rematch[1] = true;
    step(world, true);
    expect(world.phase).toBe('countdown');
    expect(world.score).toEqual([0, 0]);
  });

  it('whoever looks ahead gives no points', () => {
    const world = playing({ x: LENGTH, y: 0.9, vx: 1, vy: 0 });
    steps(world, 30, false);
    expect(world.score).toEqual([0, 0]);
    expect(world.phase).toBe('play');
  });

  it('stands still while somebody is away, and counts down when they are back', () => {
    const world = playing({ x: 0.8, y: 0.3, vx: 1, vy: 0 });
    setAway(world, 1, true);
    steps(world, 100);
    expect(world.ball.x).toBe(0.8);
    setAway(world, 1, false);
    expect(world.hold).toBe(COUNTDOWN_RESUME);
    steps(world, COUNTDOWN_RESUME);
    expect(world.ball.x).toBe(0.8);
    step(world, true);
    expect(world.ball.x).toBeGreaterThan(0.8);
  });
});
