//! DNS: the server's log of replies.

use alaz_tests::alaz::Watch;
use alaz_tests::program::run;
use alaz_tests::turn_to_capture;
use alaz_tests::unbound::{Unbound, with_resolver};

use crate::{client, count, told};

#[test]
fn every_question_of_every_resolver_is_reported_as_logged() {
    let Some(_turn) = turn_to_capture() else { return };
    let folder = tempfile::tempdir().unwrap();
    for name in ["dig", "glibc", "dns.py"] {
        let server = Unbound::start("127.0.0.1");
        let watch = Watch::start();
        match name {
            "dig" => {
                for arguments in ["www.shop.test", "shop.test MX", "+tcp missing.test TXT"] {
                    run(&mut server.dig(arguments));
                }
            }
            "glibc" => {
                let ask = "getent ahosts www.shop.test";
                run(&mut with_resolver(folder.path(), "nameserver 127.0.0.1\n", ask));
            }
            source => {
                run(&mut client(source, 53));
            }
        }
        let seen = watch.finish();
        let reported = seen.at(53);
        let reported: Vec<_> = reported
            .iter()
            .filter(|exchange| exchange.server.ip == "127.0.0.1")
            .map(|exchange| exchange.line())
            .collect();
        let known = server.stop();
        assert!(!known.is_empty());
        assert_eq!(count(reported.clone()), count(known.clone()), "{name}");
        told(name, known.len(), reported.len());
    }
}
