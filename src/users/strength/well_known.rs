//! Long passwords of which everybody has heard. They are in published lists, and the estimator, whose lists are of words, takes each for
//! as many words in an order that is hard to guess.

/// Folded: letters and digits alone. Parts of sayings that are longer.
const PHRASES: [&str; 50] = [
    "abandonallhopeyewhoenterhere",
    "allyourbasearebelongtous",
    "antidisestablishmentarianism",
    "beammeupscotty",
    "correcthorsebatterystaple",
    "dontworrybehappy",
    "elementarymydearwatson",
    "happybirthdaytoyou",
    "houstonwehaveaproblem",
    "iforgotmypassword",
    "ihavenopassword",
    "iloveyouforever",
    "iloveyousomuch",
    "inthebeginningwastheword",
    "ittakestwototango",
    "itwasthebestoftimes",
    "itwastheworstoftimes",
    "jesusismysavior",
    "jumpedoverthelazydog",
    "jumpsoverthelazydog",
    "letmeinplease",
    "livelongandprosper",
    "llanfairpwllgwyngyll",
    "loremipsumdolorsitamet",
    "maryhadalittlelamb",
    "maytheforcebewithyou",
    "mynameisinigomontoya",
    "nevergonnagiveyouup",
    "nobodyexpectsthespanishinquisition",
    "onceuponatime",
    "oneringtorulethemall",
    "opensesame",
    "pneumonoultramicroscopicsilicovolcanoconiosis",
    "resistanceisfutile",
    "rosesareredvioletsareblue",
    "somewhereovertherainbow",
    "supercalifragilisticexpialidocious",
    "thatisthequestion",
    "thelordismyshepherd",
    "thequickbrownfox",
    "thisisapassword",
    "thisisasecurepassword",
    "thisisastrongpassword",
    "thisismypassword",
    "tobeornottobe",
    "twinkletwinklelittlestar",
    "whatismypassword",
    "whatisthepassword",
    "winteriscoming",
    "youshallnotpass",
];

/// The folded text without them.
pub(super) fn without_phrases(folded: &str) -> String {
    let mut rest = folded.to_owned();
    for phrase in PHRASES {
        if rest.contains(phrase) {
            rest = rest.replace(phrase, "");
        }
    }
    rest
}
