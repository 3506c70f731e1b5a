//! The game's two messages as bytes, as docs/demo-game.md draws them.

use super::world::{Ball, Phase, World};

const KIND_STATE: u8 = 1;
const KIND_INPUT: u8 = 2;
const SCALE: f64 = 10_000.0;

/// What the guest tells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Input {
    pub seq: u16,
    /// Of the newest state seen.
    pub tick: u32,
    pub target: f64,
    pub rematch: bool,
    pub away: bool,
}

fn fixed(value: f64) -> [u8; 2] {
    ((value * SCALE).round().clamp(-32_768.0, 32_767.0) as i16).to_be_bytes()
}

/// The owner's word. `ack` is the newest input in it.
pub fn encode_state(world: &World, ack: u16) -> Vec<u8> {
    let phase = match world.phase {
        Phase::Countdown => 0,
        Phase::Play => 1,
        Phase::Over => 2,
    };
    let mut bytes = vec![KIND_STATE, phase];
    bytes.extend(world.tick.to_be_bytes());
    bytes.extend(ack.to_be_bytes());
    let Ball { x, y, vx, vy } = world.ball;
    let lengths = [x, y, vx, vy, world.cans[0], world.cans[1], world.targets[0], world.targets[1]];
    bytes.extend(lengths.into_iter().flat_map(fixed));
    let flags = [world.rematch[0], world.rematch[1], world.away[0], world.away[1], world.receiver == 1];
    let flags = flags.iter().enumerate().map(|(bit, is)| u8::from(*is) << bit).sum();
    bytes.extend([world.score[0], world.score[1], world.wait, world.hits, world.twangs, flags]);
    bytes
}

/// `None` for anything that is not a state.
pub fn decode_state(bytes: &[u8]) -> Option<World> {
    let bytes: &[u8; 30] = bytes.try_into().ok()?;
    let flags = bytes[29];
    let phase = match (bytes[0], bytes[1]) {
        (KIND_STATE, 0) => Phase::Countdown,
        (KIND_STATE, 1) => Phase::Play,
        (KIND_STATE, 2) => Phase::Over,
        _ => return None,
    };
    let length = |at: usize| f64::from(i16::from_be_bytes([bytes[8 + 2 * at], bytes[9 + 2 * at]])) / SCALE;
    let flag = |bit: u8| flags & (1 << bit) != 0;
    (flags < 32).then(|| World {
        tick: u32::from_be_bytes([bytes[2], bytes[3], bytes[4], bytes[5]]),
        phase,
        wait: bytes[26],
        ball: Ball { x: length(0), y: length(1), vx: length(2), vy: length(3) },
        cans: [length(4), length(5)],
        targets: [length(6), length(7)],
        score: [bytes[24], bytes[25]],
        receiver: usize::from(flag(4)),
        hits: bytes[27],
        twangs: bytes[28],
        rematch: [flag(0), flag(1)],
        away: [flag(2), flag(3)],
    })
}

/// The guest's word.
pub fn encode_input(input: Input) -> Vec<u8> {
    let mut bytes = vec![KIND_INPUT, u8::from(input.rematch) | u8::from(input.away) << 1];
    bytes.extend(input.seq.to_be_bytes());
    bytes.extend(input.tick.to_be_bytes());
    bytes.extend(fixed(input.target));
    bytes
}

/// `None` for anything that is not an input.
pub fn decode_input(bytes: &[u8]) -> Option<Input> {
    let bytes: &[u8; 10] = bytes.try_into().ok()?;
    (bytes[0] == KIND_INPUT && bytes[1] < 4).then(|| Input {
        seq: u16::from_be_bytes([bytes[2], bytes[3]]),
        tick: u32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]),
        target: f64::from(i16::from_be_bytes([bytes[8], bytes[9]])) / SCALE,
        rematch: bytes[1] & 1 != 0,
        away: bytes[1] & 2 != 0,
    })
}

/// Whether `a` is after `b`, for numbers that start again from 0.
pub fn is_after16(a: u16, b: u16) -> bool {
    (1..0x8000).contains(&a.wrapping_sub(b))
}

/// The same for 32 bits.
pub fn is_after32(a: u32, b: u32) -> bool {
    (1..0x8000_0000).contains(&a.wrapping_sub(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The example in docs/demo-game.md.
    #[test]
    fn the_documents_examples_hold() {
        let input = Input { seq: 258, tick: 0x0102_0304, target: 0.3, rematch: true, away: true };
        assert_eq!(hex(&encode_input(input)), "02030102010203040bb8");
        assert_eq!(decode_input(&encode_input(input)), Some(input));
        let state = "01010102 0304beef 1f401388 decc0b63 09c41d4c 0bb81b58 030605c8 1119".replace(' ', "");
        let bytes: Vec<u8> =
            (0..30).map(|at| u8::from_str_radix(&state[2 * at..2 * at + 2], 16).unwrap()).collect();
        let world = decode_state(&bytes).unwrap();
        assert_eq!((world.score, world.ball.x, world.receiver, world.wait), ([3, 6], 0.8, 1, 5));
        assert_eq!(encode_state(&world, 0xbeef), bytes);
        assert_eq!(decode_state(&bytes[1..]), None);
    }

    #[test]
    fn numbers_start_again() {
        assert!(is_after16(0, 65_535) && !is_after16(65_535, 0) && !is_after16(7, 7));
        assert!(is_after32(0, u32::MAX) && !is_after32(5, 6));
    }
}
