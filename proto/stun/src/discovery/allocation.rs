//! How a NAT draws ports, told from a handful of them.

use super::Allocation;

/// One new mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    pub local: u16,
    pub mapped: u16,
    /// Its first packet was the one that got through, so that it was made in the order of sending.
    pub in_order: bool,
    /// The first of its socket: a further one cannot keep a port that the first has kept.
    pub is_first: bool,
}

/// Fewer tell nothing.
const SAMPLES_MIN: usize = 3;
/// Ports drawn at random lie this close together once in a hundred million times; others that open mappings meanwhile make
/// gaps in a sequence.
const SPREAD_MAX: i32 = 256;

/// `samples` in the order of sending. `None`: too few.
pub(super) fn classify(samples: &[Sample]) -> Option<Allocation> {
    if samples.len() < SAMPLES_MIN {
        return None;
    }
    let moved: Vec<&Sample> = samples.iter().filter(|sample| sample.mapped != sample.local).collect();
    // One port may have been somebody else's already.
    let is_preserving = match moved.as_slice() {
        [] => true,
        [one] => one.is_first && samples.len() > SAMPLES_MIN,
        _ => false,
    };
    if is_preserving {
        return Some(Allocation::Preserving);
    }
    Some(sequence(samples).map_or(Allocation::Random, |step| Allocation::Sequential { step }))
}

/// The step, if these ports are a sequence.
fn sequence(samples: &[Sample]) -> Option<i32> {
    let mut sorted: Vec<u16> = samples.iter().map(|sample| sample.mapped).collect();
    sorted.sort_unstable();
    let steps =
        sorted.iter().zip(sorted.iter().skip(1)).map(|(&low, &high)| i32::from(high) - i32::from(low));
    let smallest = steps.min().filter(|&smallest| smallest > 0)?;
    if i32::from(*sorted.last()?) - i32::from(*sorted.first()?) > SPREAD_MAX {
        return None;
    }
    let ordered: Vec<i32> =
        samples.iter().filter(|sample| sample.in_order).map(|sample| i32::from(sample.mapped)).collect();
    let is_rising = ordered.is_sorted_by(|one, next| one < next);
    let is_falling = ordered.is_sorted_by(|one, next| one > next);
    match (is_rising, is_falling) {
        (true, _) => Some(smallest),
        (_, true) => Some(-smallest),
        // Drawn at random from a small block.
        (false, false) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ports: &[(u16, u16)]) -> Option<Allocation> {
        let sample = |&(local, mapped)| Sample { local, mapped, in_order: true, is_first: true };
        classify(&ports.iter().map(sample).collect::<Vec<_>>())
    }

    #[test]
    fn ports_that_stay_are_preserved_though_one_was_taken() {
        assert_eq!(of(&[(5, 5), (9, 9), (7, 7)]), Some(Allocation::Preserving));
        assert_eq!(of(&[(5, 5), (9, 1_024), (7, 7), (8, 8)]), Some(Allocation::Preserving));
    }

    #[test]
    fn a_sequence_may_have_gaps_and_may_count_down() {
        let up = [(1, 4_000), (900, 4_002), (77, 4_008), (5, 4_010)];
        assert_eq!(of(&up), Some(Allocation::Sequential { step: 2 }));
        let down = [(1, 4_010), (900, 4_009), (77, 4_008)];
        assert_eq!(of(&down), Some(Allocation::Sequential { step: -1 }));
    }

    #[test]
    fn what_was_sent_again_is_out_of_order_and_tells_no_direction() {
        let mut samples: Vec<Sample> = [4_000, 4_003, 4_001, 4_002]
            .map(|mapped| Sample { local: 1, mapped, in_order: true, is_first: true })
            .to_vec();
        assert_eq!(classify(&samples), Some(Allocation::Random));
        samples[1].in_order = false;
        assert_eq!(classify(&samples), Some(Allocation::Sequential { step: 1 }));
    }

    #[test]
    fn ports_far_apart_are_random_and_two_are_too_few() {
        assert_eq!(of(&[(1, 4_000), (2, 40_000), (3, 9_000)]), Some(Allocation::Random));
        assert_eq!(of(&[(1, 4_000), (2, 4_001)]), None);
    }
}
