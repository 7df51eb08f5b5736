"""The singular of an English noun, by rules and short lists: no model and no data is loaded.

A singular need not be a word: "trousers" gives "trouser". What matters is that the plural and the singular of a thing
give the same, and that two things do not. ``tests/unit/labels`` compares it with the plurals that ``inflect`` makes
of the nouns in the starter list.
"""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


SHORTEST = 4  # letters: "bus" and "gas" are no plurals

# the plural is another thing than several of the singular: a pair of glasses is not a glass
OWN_THINGS = _words(
    """
    arms barracks bellows bitters bloomers braces briefs checkers clothes customs eyeglasses falls glasses goods
    greens grounds irons jimmies khakis looks means nylons overalls remains shorts silks slacks spectacles stocks
    sunglasses sweats tights waders withers
    """
)
# of those, what are plurals behind other words: "rocker arms", "knee braces", "waffle irons"
_ALONE = _words("arms braces irons stocks")
# a word before "glasses" that are several of a glass
_OF_GLASS = _words(
    """
    beer bell brandy champagne cheval cocktail cover drinking flute hand highball juice liqueur looking magnifying
    martini milk parfait pier pint sherry shot watch water whiskey whisky wine
    """
)

# singular words that end as plurals do; those in -us, -is and -ss are known by their ending
_SINGULAR = _words(
    """
    alas alias alms always ananas arras asbestos atlas bias biceps bigos camas canvas chaos christmas corps cosmos
    cyclops ethos eyas forceps gas herpes innings judas kudos lens lithops madras mews molasses news pampas pancreas
    pathos peplos pisces pothos quadriceps reredos rhinoceros sassafras schnapps series species summons thermos
    thrips tournedos triceps triceratops velours
    """
)

_IRREGULAR = {
    "algae": "alga", "alumni": "alumnus", "antennae": "antenna", "axes": "axe", "bacteria": "bacterium",
    "cacti": "cactus", "fungi": "fungus", "gladioli": "gladiolus", "hippopotami": "hippopotamus", "larvae": "larva",
    "lice": "louse", "lives": "life", "men": "man", "nebulae": "nebula", "nuclei": "nucleus", "oases": "oasis",
    "octopi": "octopus", "oxen": "ox", "people": "person", "quizzes": "quiz", "vertebrae": "vertebra",
}  # fmt: skip

# endings of irregular plurals and of their singulars; and the words that end so by chance
_ENDINGS = (
    ("men", "man"), ("children", "child"), ("teeth", "tooth"), ("feet", "foot"), ("geese", "goose"),
    ("mice", "mouse"), ("people", "person"), ("eaux", "eau"), ("knives", "knife"), ("wives", "wife"),
    *((f"{stem}ves", f"{stem}f") for stem in (
        "cal", "dwar", "el", "hal", "hoo", "lea", "loa", "scar", "shea", "shel", "thie", "whar", "wol",
    )),
)  # fmt: skip
_CHANCE = _words(
    """
    abdomen acumen albumen amen bitumen bordeaux cerumen cleaves cyclamen delves dolmen duramen foramen hymen lumen
    omen pumice ramen regimen rumen semen specimen stamen
    """
)

# singulars that only get an s, among words whose plural changes more
_ONLY_S = _words(
    """
    aerie beanie birdie bogie bonxie bookie bootie boogie bowtie brassie brasserie brie brownie byrnie caddie
    calorie capercaillie cassie charcuterie chinoiserie collie cookie coolie coontie cootie corrie cowrie crappie
    crosstie cutie dachsie dickie die dixie doggie dogie dovekie eerie eyrie falsie foodie freebie genie ghillie
    gillie goalie haddie hankie hippie hoagie hoodie jalousie junkie kelpie knobkerrie koppie kylie laddie lassie
    lie lingerie magpie mashie mealie menagerie mollie movie necktie newbie nightie organdie pantie parqueterie
    pastie patisserie pie pinkie pixie porkpie potpie prairie punkie pyxie quickie ramie roadie rookie roomie
    rotisserie selfie sharpie smoothie sortie talkie tie townie veggie vie walkie wedgie yippie zombie

    aloe backhoe beroe canoe chigoe doe felloe floe foe gumshoe hoe hoopoe horseshoe joe leucothoe mahoe mistletoe
    oboe overshoe pekoe roe shoe sloe snowshoe throe tiptoe toe tuckahoe woe

    ache attache avalanche barouche brioche cache caleche caroche cartouche catananche cliche cloche creche douche
    gouache guilloche headache heartache huarache huisache microfiche moustache mustache niche obeche orache panache
    pastiche penoche penuche pinche quiche soutache stomachache toothache troche backache earache

    bouillabaisse coulisse crevasse cuisse demitasse finesse fosse impasse lacrosse mousse paillasse palliasse
    pelisse posse wrasse

    annexe axe breakaxe broadaxe deluxe pickaxe poleaxe

    agouti aioli basenji blini calamari etui fettuccini frangipani hibachi kepi kohlrabi linguini macaroni martini
    muesli bikini biryani bonsai borzoi broccoli cannelloni chapati chapatti chili chilli coati confetti corgi
    daiquiri dashiki deli dhoti garibaldi gnocchi khaki kiwi mai maxi mini okapi origami panini pastrami pepperoni
    pierogi potpourri rabbi ravioli rigatoni safari saki salami saluki samurai sari sashimi scampi shanghai ski
    spaghetti sukiyaki sushi tahini taxi teriyaki tiki tipi tortellini tsunami tuktuk venturi vermicelli wadi wapiti
    wasabi ziti zucchini

    fichu fondu iglu juju kinkajou kudzu landau muumuu babassu bantu barbu bayou bijou caribou coypu ecu emu flu
    fugu gnu guru haiku impromptu kudu menu milieu parvenu puku pupu quipu shiatsu sudoku tatou tinamou tiramisu
    tofu tutu zebu

    excuse cause clause fuse hypotenuse lobscuse muse pause recluse refuse ruse tropopause use cruse chartreuse
    cayuse masseuse
    """
)
# singulars that get es, among words whose plural only adds an s; and those of _SINGULAR
_GETS_ES = _words(
    """
    acropolis amaryllis chrysalis clematis dais glottis ibis iris mantis metropolis pelvis penis portcullis
    proboscis syphilis tennis topaz trellis waltz
    """
)
_US = ("house", "mouse", "louse", "blouse", "spouse", "grouse", "souse", "scouse")  # the only others in -use


_CHANGED_BY_ES = _SINGULAR | _GETS_ES
_AFTER_HISSES = ("sses", "shes", "ches", "xes", "tzes", "zzes", "oes")


def singular(word: str, before: str = "") -> str:
    """The singular of a word in lower case; a word that is no plural is returned as it is.

    ``before``: the word before it.
    """
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    plain = (word in _ALONE and before) or (word == "glasses" and before in _OF_GLASS)
    if len(word) < SHORTEST or (word in OWN_THINGS and not plain) or word in _SINGULAR or word in _CHANCE:
        return word
    for plural, one in _ENDINGS:
        if word.endswith(plural):
            return word.removesuffix(plural) + one
    return _without_s(word) if word.endswith("s") and not word.endswith("ss") else word


def _without_s(word: str) -> str:
    if word[:-1] in _ONLY_S or word.endswith("eaus"):
        return word[:-1]
    if word.endswith(("us", "is")):
        return word
    if word.endswith("ies") and len(word) > SHORTEST:
        return word.removesuffix("ies") + "y"
    return word.removesuffix("es") if len(word) > SHORTEST and _gets_es(word) else word[:-1]


def _gets_es(word: str) -> bool:
    if word.endswith("uses"):
        return not word.removesuffix("s").endswith(_US)
    return word.endswith(_AFTER_HISSES) or word.removesuffix("es") in _CHANGED_BY_ES
