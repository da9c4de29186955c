//! Waiting, by WASI's clock: the target of these components has none of its own.

#![allow(clippy::all, reason = "generated")]

wit_bindgen::generate!({
    inline: "
        package sluice:clock;

        world waits {
            import wasi:clocks/monotonic-clock@0.2.0;
        }

        package wasi:io@0.2.0 {
            interface poll {
                resource pollable {
                    block: func();
                }
            }
        }

        package wasi:clocks@0.2.0 {
            interface monotonic-clock {
                use wasi:io/poll@0.2.0.{pollable};
                type duration = u64;
                subscribe-duration: func(when: duration) -> pollable;
            }
        }
    ",
    world: "waits",
    generate_all,
});

use wasi::clocks::monotonic_clock::subscribe_duration;

/// Returns when so much time has passed.
pub(crate) fn wait(time: std::time::Duration) {
    let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    subscribe_duration(nanoseconds).block();
}
