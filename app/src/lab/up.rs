//! `twocan lab up`: lines of standard input, until they end or a signal ends them.

use std::io::{self, BufReader, Read, Write as _};
use std::sync::mpsc::{Receiver, sync_channel};

use super::signals;

/// Pieces of input that wait, at most.
const PIECES_MAX: usize = 16;

/// What came in, piece by piece; an empty one is the end.
struct Pieces {
    pieces: Receiver<Vec<u8>>,
    rest: Vec<u8>,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.rest.is_empty() {
            self.rest = self.pieces.recv().unwrap_or_default();
        }
        let len = self.rest.len().min(buffer.len());
        buffer[..len].copy_from_slice(&self.rest[..len]);
        self.rest.drain(..len);
        Ok(len)
    }
}

/// Does what the lines say.
pub fn run(seed: u64) -> anyhow::Result<()> {
    let (told, pieces) = sync_channel::<Vec<u8>>(PIECES_MAX);
    let end = told.clone();
    signals::on_first(move || {
        let _ = end.send(Vec::new());
    })?;
    let mut lab = super::start(seed)?;
    std::thread::spawn(move || {
        let mut buffer = [0; 4_096];
        while let Ok(len) = io::stdin().lock().read(&mut buffer) {
            if told.send(buffer[..len].to_vec()).is_err() || len == 0 {
                return;
            }
        }
    });
    let input = BufReader::new(Pieces { pieces, rest: Vec::new() });
    let mut output = io::stdout();
    twocan_lab::drive(&mut lab, input, &mut output).map_err(super::explain)?;
    Ok(output.flush()?)
}
