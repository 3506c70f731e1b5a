//! As much of HTTP/1.1 (RFC 9112) as UPnP asks for: one request a connection, with a body of known length.

/// The longest start line with its headers.
pub(super) const HEAD_LEN_MAX: usize = 4 * 1024;
/// The longest body.
pub(super) const BODY_LEN_MAX: usize = 8 * 1024;
/// The most headers.
const HEADERS_MAX: usize = 32;

/// RFC 9110 section 15.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Status(u16);

impl Status {
    pub(super) const OK: Status = Status(200);
    pub(super) const BAD_REQUEST: Status = Status(400);
    pub(super) const NOT_FOUND: Status = Status(404);
    pub(super) const METHOD_NOT_ALLOWED: Status = Status(405);
    pub(super) const CONTENT_TOO_LARGE: Status = Status(413);
    /// RFC 6585 section 5.
    pub(super) const HEAD_TOO_LARGE: Status = Status(431);
    pub(super) const INTERNAL_ERROR: Status = Status(500);
    pub(super) const NOT_IMPLEMENTED: Status = Status(501);

    fn reason(self) -> &'static str {
        match self {
            Status::OK => "OK",
            Status::BAD_REQUEST => "Bad Request",
            Status::NOT_FOUND => "Not Found",
            Status::METHOD_NOT_ALLOWED => "Method Not Allowed",
            Status::CONTENT_TOO_LARGE => "Content Too Large",
            Status::HEAD_TOO_LARGE => "Request Header Fields Too Large",
            Status::NOT_IMPLEMENTED => "Not Implemented",
            _ => "Internal Server Error",
        }
    }
}

/// What a client asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    /// SOAP's header: which action of which service.
    pub(super) soap_action: Option<String>,
    pub(super) body: Vec<u8>,
}

/// The request that these bytes begin with; `None`: there is more to come. The status, if it is refused.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<Request>, Status> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Request::new(&mut headers);
    let parsed = head.parse(bytes.get(..HEAD_LEN_MAX).unwrap_or(bytes)).map_err(|error| match error {
        httparse::Error::TooManyHeaders => Status::HEAD_TOO_LARGE,
        _ => Status::BAD_REQUEST,
    })?;
    let head_len = match parsed {
        httparse::Status::Complete(len) => len,
        httparse::Status::Partial if bytes.len() >= HEAD_LEN_MAX => return Err(Status::HEAD_TOO_LARGE),
        httparse::Status::Partial => return Ok(None),
    };
    if header(&head, "Transfer-Encoding")?.is_some() {
        return Err(Status::NOT_IMPLEMENTED);
    }
    let body_len = match header(&head, "Content-Length")? {
        None => 0,
        Some(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
            // Digits that are no number are too many, or none.
            text.parse().map_err(|_| Status::BAD_REQUEST)?
        }
        Some(_) => return Err(Status::BAD_REQUEST),
    };
    if body_len > BODY_LEN_MAX {
        return Err(Status::CONTENT_TOO_LARGE);
    }
    let Some(body) = bytes.get(head_len..head_len + body_len) else { return Ok(None) };
    let (method, path) = (head.method.unwrap_or_default(), head.path.unwrap_or_default());
    let soap_action = header(&head, "SOAPAction")?.map(str::to_owned);
    Ok(Some(Request { method: method.to_owned(), path: path.to_owned(), soap_action, body: body.to_vec() }))
}

/// A header's value. One that is there twice, or is no text, makes a bad request.
fn header<'a>(head: &httparse::Request<'_, 'a>, name: &str) -> Result<Option<&'a str>, Status> {
    let mut found = head.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
    let (first, second) = (found.next(), found.next());
    match (first, second) {
        (None, _) => Ok(None),
        (Some(one), None) => {
            let value = std::str::from_utf8(one.value).map_err(|_| Status::BAD_REQUEST)?;
            Ok(Some(value.trim()))
        }
        (Some(_), Some(_)) => Err(Status::BAD_REQUEST),
    }
}

/// An answer, after which the connection ends.
pub(super) fn response(status: Status, body: &str) -> Vec<u8> {
    let (code, reason, len) = (status.0, status.reason(), body.len());
    let head = format!(
        "HTTP/1.1 {code} {reason}\r\nContent-Type: text/xml; charset=\"utf-8\"\r\nContent-Length: {len}\r\n\
         Connection: close\r\nServer: {}\r\nExt:\r\n\r\n",
        super::PRODUCT
    );
    [head.as_bytes(), body.as_bytes()].concat()
}
