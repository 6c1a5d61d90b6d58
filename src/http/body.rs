//! Reads a request's body: bounded in size, also when no length was announced, and in time.

use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};

use super::problem::Problem;
use crate::model::Bytes;

/// The whole body.
///
/// # Errors
/// [`Problem::TooLarge`], [`Problem::TooSlow`], [`Problem::BrokenBody`].
pub async fn read(mut body: Incoming, limit: Bytes, time: Duration) -> Result<Vec<u8>, Problem> {
    // An announced length is refused before a byte is read: a client that asked for `100 Continue` then sends none.
    if body.size_hint().lower() > limit.0 {
        return Err(Problem::TooLarge(limit.0));
    }
    let all = async {
        let mut bytes = Vec::new();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| Problem::BrokenBody)?.into_data() else { continue };
            if (bytes.len() + data.len()) as u64 > limit.0 {
                return Err(Problem::TooLarge(limit.0));
            }
            bytes.extend_from_slice(&data);
        }
        Ok(bytes)
    };
    tokio::time::timeout(time, all).await.unwrap_or(Err(Problem::TooSlow))
}
