//! RESERVATION-TOKEN (RFC 8656 section 18.10).

use super::shape::array;

array!(
    /// Names the port that EVEN-PORT reserved.
    ReservationToken = RESERVATION_TOKEN, 8
);
