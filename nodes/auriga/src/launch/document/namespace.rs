//! Namespaces, as ROS 2 joins them.

use crate::launch::error::Problem;

/// `own` below `around`; one that begins with `/` stands by itself. Absolute, without a `/` at its end.
pub(super) fn below(around: Option<&str>, own: &str) -> String {
    let joined = match around {
        Some(around) if !own.starts_with('/') => format!("{}/{own}", around.trim_end_matches('/')),
        _ => own.to_owned(),
    };
    let trimmed = joined.trim_end_matches('/');
    if trimmed.starts_with('/') { trimmed.to_owned() } else { format!("/{trimmed}") }
}

/// Checks an absolute namespace.
pub(super) fn check(namespace: &str) -> Result<(), Problem> {
    let fail = |why| Err(Problem::Namespace { namespace: namespace.to_owned(), why });
    for token in namespace.split('/').skip(1).filter(|_| namespace != "/") {
        if token.is_empty() {
            return fail("it has an empty part");
        }
        if token.starts_with(|c: char| c.is_ascii_digit()) {
            return fail("a part begins with a digit");
        }
        if !token.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return fail("expected letters, digits, _ and /");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_are_joined_as_in_ros_2() {
        // By launch_ros.utilities.namespace_utils: prefix_namespace, then make_namespace_absolute.
        for (around, own, joined) in [
            (None, "robot", "/robot"),
            (None, "/x/y/", "/x/y"),
            (None, "/", "/"),
            (Some("/robot"), "arm", "/robot/arm"),
            (Some("/robot"), "/arm", "/arm"),
            (Some("/"), "arm", "/arm"),
            (Some("/robot"), "arm/", "/robot/arm"),
            (Some("/robot"), "", "/robot"),
        ] {
            assert_eq!(below(around, own), joined, "{around:?} {own}");
        }
        assert!(check("/a/b_1").is_ok() && check("/").is_ok());
        for wrong in ["/a//b", "/1a", "/a b", "/a-b"] {
            assert!(check(wrong).is_err(), "{wrong}");
        }
    }
}
