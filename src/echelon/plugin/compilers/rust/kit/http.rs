//! HTTP in both directions: `fn handle(request: Request) -> Response`, and `fetch`.

use crate::buffer::{Reader, Writer};
use crate::{host, Json};

/// A request: one that came, or one to make.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub method: String,
    /// The path below the mount, or the whole URL of a request to make.
    pub path: String,
    /// What came behind the `?`, as it was sent.
    pub query: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// A response: one to give, or one that came.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

const VERSION: usize = 1;

fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

impl Request {
    /// A request to make.
    pub fn new(method: &str, url: &str) -> Request {
        Request { method: method.into(), path: url.into(), ..Request::default() }
    }

    pub fn get(url: &str) -> Request {
        Request::new("GET", url)
    }

    pub fn post(url: &str, body: impl Into<Vec<u8>>) -> Request {
        Request { body: body.into(), ..Request::new("POST", url) }
    }

    pub fn with(mut self, name: &str, value: &str) -> Request {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The body as text; what is not UTF-8 becomes U+FFFD.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Result<Json, String> {
        Json::parse(&self.text())
    }

    pub(crate) fn read(content: &[u8]) -> Request {
        let mut from = Reader(content);
        from.number();
        Request {
            method: from.text(),
            path: from.text(),
            query: from.text(),
            headers: from.pairs(),
            body: from.content().to_vec(),
        }
    }

    pub(crate) fn written(&self) -> Vec<u8> {
        let mut into = Writer::default();
        into.number(VERSION).content(self.method.as_bytes()).content(self.path.as_bytes());
        into.content(self.query.as_bytes()).pairs(&self.headers).content(&self.body);
        into.0
    }
}

impl Response {
    pub fn new(status: u16, kind: &str, body: impl Into<Vec<u8>>) -> Response {
        Response { status, headers: vec![("content-type".into(), kind.into())], body: body.into() }
    }

    pub fn text(body: impl Into<String>) -> Response {
        Response::new(200, "text/plain; charset=utf-8", body.into())
    }

    pub fn html(body: impl Into<String>) -> Response {
        Response::new(200, "text/html; charset=utf-8", body.into())
    }

    pub fn json(value: &Json) -> Response {
        Response::new(200, "application/json", value.to_string())
    }

    pub fn status(mut self, status: u16) -> Response {
        self.status = status;
        self
    }

    pub fn with(mut self, name: &str, value: &str) -> Response {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    pub fn body_text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn read(content: &[u8]) -> Response {
        let mut from = Reader(content);
        from.number();
        Response { status: from.number() as u16, headers: from.pairs(), body: from.content().to_vec() }
    }

    pub(crate) fn written(&self) -> Vec<u8> {
        let mut into = Writer::default();
        into.number(VERSION).number(self.status.into()).pairs(&self.headers).content(&self.body);
        into.0
    }
}

/// Make a request, following redirects; an error says why there is no answer. The host has to be granted.
pub fn fetch(request: &Request) -> Result<Response, String> {
    let mut into = Writer::default();
    into.number(VERSION).content(request.method.as_bytes()).content(request.path.as_bytes()).number(0);
    into.pairs(&request.headers).content(&request.body);
    let answer = host::taken(unsafe { host::fetch(into.0.as_ptr(), into.0.len()) }).unwrap_or_default();
    let mut from = Reader(&answer);
    from.number();
    let status = from.number() as u16;
    from.content();
    let response = Response { status, headers: from.pairs(), body: from.content().to_vec() };
    if status == 0 { Err(response.body_text()) } else { Ok(response) }
}
