//! CRC-32C, SCTP's checksum (RFC 9260 appendix A): eight bytes a step.

#![expect(clippy::indexing_slicing, reason = "eight tables, and a byte has 256 values")]

const POLYNOMIAL: u32 = 0x82f6_3b78;

const TABLES: [[u32; 256]; 8] = tables();

const fn tables() -> [[u32; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ POLYNOMIAL } else { crc >> 1 };
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut table = 1;
    while table < 8 {
        let mut byte = 0;
        while byte < 256 {
            let crc: u32 = tables[table - 1][byte];
            tables[table][byte] = crc >> 8 ^ tables[0][(crc & 0xff) as usize];
            byte += 1;
        }
        table += 1;
    }
    tables
}

/// The checksum of a packet whose checksum field is taken as zero.
pub(super) fn of_packet(packet: &[u8]) -> u32 {
    let (before, rest) = packet.split_at(packet.len().min(8));
    let crc = update(update(!0, before), &[0; 4]);
    !update(crc, rest.get(4..).unwrap_or_default())
}

fn update(mut crc: u32, bytes: &[u8]) -> u32 {
    let (eights, rest) = bytes.as_chunks::<8>();
    for eight in eights {
        let word = u64::from_le_bytes(*eight) ^ u64::from(crc);
        let at = |table: usize, shift: u32| TABLES[table][(word >> shift & 0xff) as usize];
        crc = at(7, 0) ^ at(6, 8) ^ at(5, 16) ^ at(4, 24) ^ at(3, 32) ^ at(2, 40) ^ at(1, 48) ^ at(0, 56);
    }
    for &byte in rest {
        crc = crc >> 8 ^ TABLES[0][((crc ^ u32::from(byte)) & 0xff) as usize];
    }
    crc
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_check_value_of_the_polynomial_holds() {
        assert_eq!(!super::update(!0, b"123456789"), 0xe306_9283);
    }
}
