//! The page for trying it, at `/`: three files, embedded. It uses nothing from other hosts and is allowed nothing but what it
//! uses.

use hyper::Response;
use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};

use super::reply::Reply;

/// A file of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct File {
    path: &'static str,
    kind: &'static str,
    text: &'static str,
}

const FILES: [File; 4] = [
    File { path: "/", kind: "text/html; charset=utf-8", text: include_str!("page/index.html") },
    File { path: "/page/page.css", kind: "text/css; charset=utf-8", text: include_str!("page/page.css") },
    File { path: "/page/page.js", kind: "text/javascript; charset=utf-8", text: include_str!("page/page.js") },
    File { path: "/page/icon.svg", kind: "image/svg+xml", text: include_str!("page/icon.svg") },
];

/// Scripts, styles and the icon from here, requests to here; no script in the page itself, nobody's frame, no form that is
/// sent by the browser.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

impl File {
    /// The file at this path.
    pub fn at(path: &str) -> Option<Self> {
        FILES.into_iter().find(|file| file.path == path)
    }

    /// Its path.
    pub const fn path(self) -> &'static str {
        self.path
    }

    /// The reply.
    pub fn reply(self) -> Reply {
        let mut reply = Response::new(self.text.into());
        let headers = reply.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.kind));
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        // Another version of the service may have another page.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        reply
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_only_what_is_here() {
        for file in FILES {
            for part in file.text.split(['"', '\'', '(', ')', ' ']) {
                let elsewhere = part.contains("://") && part != "http://www.w3.org/2000/svg";
                assert!(!elsewhere && !part.starts_with("//www"), "{}: {part}", file.path);
            }
        }
        let html = FILES[0].text;
        for part in html.split('"').filter(|part| part.starts_with('/')) {
            assert!(File::at(part).is_some(), "{part}");
        }
        for inline in ["<style", "style=", " onclick", " onload", "javascript:", "<script>"] {
            assert!(!html.contains(inline), "{inline}");
        }
        for way_in in
            ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "localStorage", "cookie"]
        {
            assert!(!FILES[2].text.contains(way_in), "{way_in}");
        }
    }
}
