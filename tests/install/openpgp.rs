//! Detached signatures against keys and signatures that GnuPG made: `gpg/make.sh` says how.

use agent_sandbox::install::openpgp::{Fingerprint, OpenPgpError, Refusal, verify};

/// The content of a file in `gpg/`.
macro_rules! file {
    ($name:literal) => {
        (include_bytes!(concat!("gpg/", $name))).as_slice()
    };
}

/// Noon of the first day of a month of 2026.
const MARCH: u64 = 1_772_366_400;
const JULY: u64 = MARCH + 122 * DAY;
const DAY: u64 = 24 * 60 * 60;
const YEAR: u64 = 365 * DAY;

/// The fingerprint of the key that `make.sh` calls `name`.
fn fingerprint(name: &str) -> Fingerprint {
    let list = str::from_utf8(file!("fingerprints")).unwrap();
    let line = list.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    Fingerprint::parse(line.unwrap()).unwrap()
}

/// Checks a signature over the manifest in July.
fn check(key: &[u8], name: &str, signature: &[u8]) -> Result<(), Refusal> {
    verify(key, fingerprint(name), signature, file!("manifest.json"), JULY)
}

fn key(error: OpenPgpError) -> Result<(), Refusal> {
    Err(Refusal::Key(error))
}

fn signature(error: OpenPgpError) -> Result<(), Refusal> {
    Err(Refusal::Signature(error))
}

/// Every signature in `gpg/` that is good, with its key.
fn good() -> [(&'static [u8], &'static str, &'static [u8]); 7] {
    [
        (file!("rsa.asc"), "rsa", file!("rsa.sig")),
        (file!("rsa.key"), "rsa", file!("rsa-armor.sig")),
        (file!("rsa.key"), "rsa", file!("rsa-sha256.sig")),
        (file!("rsa.key"), "rsa", file!("rsa-sha384.sig")),
        (file!("subkeys.asc"), "subkeys", file!("subkeys.sig")),
        (file!("both.asc"), "subkeys", file!("subkeys.sig")),
        (file!("both.asc"), "rsa", file!("rsa.sig")),
    ]
}

#[test]
fn what_gnupg_signs() {
    for (key, name, signature) in good() {
        assert_eq!(check(key, name, signature), Ok(()), "{name}");
    }
    let two = [file!("subkeys.sig"), file!("rsa.sig")].concat();
    for name in ["rsa", "subkeys"] {
        assert_eq!(check(file!("both.asc"), name, &two), Ok(()));
    }
    let two = [file!("rsa.asc"), file!("subkeys.asc")].concat();
    assert_eq!(check(&two, "subkeys", file!("subkeys.sig")), Ok(()));
}

#[test]
fn other_manifests_and_other_signers() {
    let manifest = file!("manifest.json");
    for other in [&manifest[1..], &[manifest, b"\n"].concat(), b""] {
        let got = verify(file!("rsa.asc"), fingerprint("rsa"), file!("rsa.sig"), other, JULY);
        assert_eq!(got, signature(OpenPgpError::Bad));
    }
    let (rsa, subkeys) = (fingerprint("rsa"), fingerprint("subkeys"));
    // A file with both keys: the one that is not pinned does not count.
    for file in [file!("both.asc"), file!("rsa.asc")] {
        assert_eq!(check(file, "rsa", file!("subkeys.sig")), signature(OpenPgpError::OtherSigner(rsa)));
    }
    let error = OpenPgpError::OtherFingerprint { found: rsa.to_string(), wanted: subkeys };
    assert_eq!(check(file!("rsa.asc"), "subkeys", file!("rsa.sig")), key(error));
    let twice = [file!("rsa.asc"), file!("rsa.asc")].concat();
    assert_eq!(check(&twice, "rsa", file!("rsa.sig")), key(OpenPgpError::Twice));
}

#[test]
fn kinds_that_are_not_accepted() {
    for (file, part) in [
        (file!("rsa-sha1.sig"), "SHA-1"),
        (file!("rsa-text.sig"), "not one over a file as it is"),
        (file!("rsa-notation.sig"), "demands something"),
    ] {
        let error = check(file!("rsa.asc"), "rsa", file).unwrap_err().to_string();
        assert!(error.starts_with("the signature is of a kind") && error.contains(part), "{error}");
    }
}

#[test]
fn time() {
    let at =
        |key, name, signature, now| verify(key, fingerprint(name), signature, file!("manifest.json"), now);
    let rsa = |signature, now| at(file!("rsa.asc"), "rsa", signature, now);
    assert_eq!(rsa(file!("rsa-early.sig"), JULY), signature(OpenPgpError::Untimely("before its key")));
    assert_eq!(rsa(file!("rsa.sig"), MARCH - DAY), Ok(()));
    let error = rsa(file!("rsa.sig"), MARCH - DAY - 1).unwrap_err().to_string();
    assert!(error.contains("in the future"), "{error}");
    assert_eq!(rsa(file!("rsa-limited.sig"), MARCH + 30 * DAY - 1), Ok(()));
    let error = signature(OpenPgpError::SignatureExpired);
    assert_eq!(rsa(file!("rsa-limited.sig"), MARCH + 30 * DAY), error);

    let made = MARCH - 59 * DAY;
    let expiring = |file, now| at(file, "expiring", file!("expiring.sig"), now);
    assert_eq!(expiring(file!("expiring.asc"), made + YEAR - 1), Ok(()));
    assert_eq!(expiring(file!("expiring.asc"), made + YEAR), key(OpenPgpError::Expired));
    assert_eq!(expiring(file!("prolonged.asc"), made + 9 * YEAR), Ok(()));
    assert_eq!(expiring(file!("prolonged.asc"), made + 11 * YEAR), key(OpenPgpError::Expired));
    // Before it was prolonged, what it says then does not count, and there is nothing else.
    assert!(expiring(file!("prolonged.asc"), MARCH).is_err());

    // The key is good for ever, its subkey for two years.
    let subkeys = |now| at(file!("subkeys.asc"), "subkeys", file!("subkeys.sig"), now);
    assert_eq!(subkeys(made + 2 * YEAR - DAY), Ok(()));
    assert_eq!(subkeys(made + 2 * YEAR + DAY), key(OpenPgpError::NotForSigning));
}

#[test]
fn keys_that_may_not_sign() {
    assert_eq!(check(file!("revoked.asc"), "rsa", file!("rsa.sig")), key(OpenPgpError::Revoked));
    for (file, name, signature) in [
        (file!("subkey-revoked.asc"), "subkeys", file!("subkeys.sig")),
        (file!("encrypting.asc"), "encrypting", file!("rsa.sig")),
        (file!("weak.asc"), "weak", file!("weak.sig")),
    ] {
        assert_eq!(check(file, name, signature), key(OpenPgpError::NotForSigning), "{name}");
    }
}

#[test]
fn files_that_are_something_else() {
    for other in [&b""[..], b"\n", b"<html>please log in</html>", &[0x99; 5000], file!("rsa.sig")] {
        let error = check(other, "rsa", file!("rsa.sig")).unwrap_err().to_string();
        assert!(error.starts_with("the key "), "{error}");
    }
    for other in [&b""[..], b"\n", b"<html>please log in</html>", &[0x99; 5000], file!("rsa.key")] {
        let error = check(file!("rsa.asc"), "rsa", other).unwrap_err().to_string();
        assert!(error.starts_with("the signature "), "{error}");
    }
    for more in [&b"\n"[..], b"\0", b"\x88", file!("rsa.key")] {
        assert!(check(file!("rsa.key"), "rsa", &[file!("rsa.sig"), more].concat()).is_err());
    }
    for more in [&b"\n"[..], b"\0", b"\x88"] {
        assert!(check(&[file!("rsa.key"), more].concat(), "rsa", file!("rsa.sig")).is_err());
    }
}

/// What GnuPG signs, with anything changed: never good, and never a panic.
#[test]
fn every_truncation_and_every_flipped_bit() {
    let (key, pinned, sig, manifest) =
        (file!("rsa.key"), fingerprint("rsa"), file!("rsa.sig"), file!("manifest.json"));
    let good = |key: &[u8], sig: &[u8], manifest: &[u8]| verify(key, pinned, sig, manifest, JULY).is_ok();
    assert!(good(key, sig, manifest));
    for changed in changes(manifest) {
        assert!(!good(key, sig, &changed));
    }
    for changed in changes(sig) {
        assert!(!good(key, &changed, manifest), "{changed:02x?}");
    }
    for changed in changes(key) {
        assert!(!good(&changed, sig, manifest), "{changed:02x?}");
    }
}

/// Pieces of keys and signatures put together anew: whatever comes of it never vouches for another manifest,
/// and never panics. What is not signed, such as armour or a subkey that did not sign, may well be changed.
#[test]
fn no_mixture_vouches_for_another_manifest() {
    let files = [
        file!("rsa.key"),
        file!("rsa.asc"),
        file!("subkeys.asc"),
        file!("both.asc"),
        file!("revoked.asc"),
        file!("rsa.sig"),
        file!("rsa-armor.sig"),
        file!("subkeys.sig"),
    ];
    // Xorshift: the same on every run.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap() % below.max(1)
    };
    let mut mix = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        for _ in 0..random(4) {
            let at = random(bytes.len());
            match random(3) {
                0 if at < bytes.len() => bytes[at] = u8::try_from(random(256)).unwrap(),
                1 => {
                    bytes.drain(at..bytes.len().min(at + random(40)));
                }
                _ => {
                    let other = files[random(files.len())];
                    let from = random(other.len());
                    let piece = &other[from..other.len().min(from + random(400))];
                    bytes.splice(at..at, piece.iter().copied());
                }
            }
        }
        bytes
    };
    let mut still_good = 0;
    for (key, name, signature) in good().into_iter().cycle().take(5000) {
        let (key, signature) = (mix(key), mix(signature));
        let check = |manifest: &[u8]| verify(&key, fingerprint(name), &signature, manifest, JULY).is_ok();
        assert!(!check(b"{\"version\":\"6.6.6\"}"));
        still_good += i32::from(check(file!("manifest.json")));
    }
    // Else the mixtures would be too wild to say anything.
    assert!(still_good > 100, "{still_good}");
}

/// `bytes` with each bit flipped, cut at each place, and with each byte missing or twice.
fn changes(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let flipped = (0..bytes.len() * 8).map(|bit| {
        let mut bytes = bytes.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        bytes
    });
    let cut = (0..bytes.len()).map(|length| bytes[..length].to_vec());
    let missing = (0..bytes.len()).map(|at| [&bytes[..at], &bytes[at + 1..]].concat());
    let twice = (0..bytes.len()).map(|at| [&bytes[..=at], &bytes[at..]].concat());
    // A run of equal bytes is the same without one and cut elsewhere, but never the same as before.
    flipped.chain(cut).chain(missing).chain(twice)
}
