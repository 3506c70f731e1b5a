//! The table in a terminal, and the keys.

use std::io::{Write as _, stdout};
use std::time::Duration;

use crossterm::event::{Event, KeyCode, KeyEventKind, KeyModifiers, poll, read};
use crossterm::terminal::{disable_raw_mode, enable_raw_mode};

use super::world::{CAN_HALF, FACE_X, LENGTH, Phase, World, clamp_can};

const COLUMNS: usize = 72;
const ROWS: usize = 22;
/// How far one press of a key moves the wish: terminals say nothing of a key that is held but that it is pressed again.
const PRESS: f64 = 0.07;

/// The terminal, as the game needs it, and as it was once this is dropped.
pub struct Screen;

impl Screen {
    pub fn open() -> std::io::Result<Self> {
        enable_raw_mode().map_err(|error| {
            std::io::Error::other(format!(
                "there is no terminal to draw in ({error}): --json plays without one"
            ))
        })?;
        // Another screen, without a cursor.
        print("\x1b[?1049h\x1b[?25l");
        Ok(Self)
    }

    /// The keys pressed since the last look; says whether to go on.
    pub fn keys(&self, target: &mut f64, rematch: &mut bool) -> bool {
        while poll(Duration::ZERO).unwrap_or(false) {
            let Ok(Event::Key(key)) = read() else { continue };
            if key.kind == KeyEventKind::Release {
                continue;
            }
            match key.code {
                KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return false,
                KeyCode::Char('q') | KeyCode::Esc => return false,
                KeyCode::Up | KeyCode::Char('w' | 'k') => *target = clamp_can(*target - PRESS),
                KeyCode::Down | KeyCode::Char('s' | 'j') => *target = clamp_can(*target + PRESS),
                KeyCode::Char(' ') | KeyCode::Enter => *rematch = true,
                _ => {}
            }
        }
        true
    }

    pub fn draw(&self, world: &World, side: usize, note: &str) {
        let mut cells = vec![vec![' '; COLUMNS]; ROWS];
        let column =
            |x: f64| ((x / LENGTH * COLUMNS as f64) as isize).clamp(0, COLUMNS as isize - 1) as usize;
        let row = |y: f64| ((y * ROWS as f64) as isize).clamp(0, ROWS as isize - 1) as usize;
        let string = (column(FACE_X) + 1..column(LENGTH - FACE_X)).map(|at| {
            let x = (at as f64 + 0.5) / COLUMNS as f64 * LENGTH;
            (at, row(world.string_at(x)))
        });
        for (at, line) in string {
            cells[line][at] = '·';
        }
        for (which, x) in [(0, FACE_X), (1, LENGTH - FACE_X)] {
            let can = world.cans[which];
            for line in &mut cells[row(can - CAN_HALF)..=row(can + CAN_HALF)] {
                line[column(x)] = if which == side { '█' } else { '▒' };
            }
        }
        cells[row(world.ball.y)][column(world.ball.x)] = '●';

        let (mine, theirs) = (world.score[side], world.score[1 - side]);
        let head = match world.phase {
            Phase::Countdown => format!("{mine} : {theirs}   in {:.1} s", f64::from(world.wait) / 60.0),
            Phase::Play => format!("{mine} : {theirs}"),
            Phase::Over if mine > theirs => format!("{mine} : {theirs}   You won. Space: again"),
            Phase::Over => format!("{mine} : {theirs}   You lost. Space: again"),
        };
        let mut frame = format!("\x1b[H{head:<COLUMNS$}\r\n┌{}┐\r\n", "─".repeat(COLUMNS));
        for line in cells {
            frame.push('│');
            frame.extend(line);
            frame.push_str("│\r\n");
        }
        frame.push_str(&format!("└{}┘\r\n{note:<COLUMNS$}\r\n↑ ↓ move, q leaves", "─".repeat(COLUMNS)));
        print(&frame);
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        print("\x1b[?25h\x1b[?1049l");
        let _ = disable_raw_mode();
    }
}

fn print(text: &str) {
    // A terminal that is gone shows nothing any more.
    let _ = stdout().write_all(text.as_bytes()).and_then(|()| stdout().flush());
}
