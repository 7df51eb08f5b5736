"""Rules for the starter captions: tables of WordNet words and senses.

A sense is written as WordNet's word, or ``word.N`` for the N-th sense of the word.

The words may become tags on photographs of people. Words for people are therefore selected by an allow list, not by a
block list: occupations and roles that a photograph can show. Excluded are words that judge, accuse, pity or insult,
and what cannot be seen: origin, skin, faith, politics, sexuality, illness, poverty, character.
"""

from __future__ import annotations

from vectordb.starter.wordnet import (
    ACT,
    BODY,
    COMMUNICATION,
    EVENT,
    GROUP,
    PERSON,
    PHENOMENON,
    PLACE,
    SUBSTANCE,
)


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# in these categories most words are abstract, invisible or unkind: only the listed words are included, without their
# hyponyms, and in the first sense of the category unless a sense is given
_NAMED = {
    PERSON: """
        accordionist acrobat actor actress admiral adolescent adult alpinist altar_boy anesthetist
        angler.2 animator.2 archaeologist archbishop archer architect artilleryman artisan artist
        astronaut astronomer athlete aviator baby backpacker backstroker bagpiper baker.2 ball_carrier
        ballerina ballet_dancer ballet_master balloonist ballplayer bandleader bandsman barber barmaid
        barman bartender base_runner baseball_player basketball_player bassist bassoonist bather
        baton_twirler batsman batter beautician beekeeper bellboy belly_dancer best_man bicyclist
        biologist bird_watcher bishop blacksmith boatman bodyguard bookbinder bouncer bowler boxer boy
        brain_surgeon bricklayer bride bridegroom bridesmaid bugler bullfighter bus_driver busboy
        butcher bystander cabinetmaker caddie calligrapher cameraman camper canoeist captain cardinal
        caretaker carpenter carver cashier cavalryman cellist center_fielder ceramicist charioteer
        chauffeur cheerleader chef chemist child chimneysweep choirboy chorister circus_acrobat
        clarinetist clergyman clerk clown.2 coach coachman coal_miner cobbler colonel color_guard
        combat_pilot comedian commuter computer_programmer conductor construction_worker contortionist
        cook copilot corporal cosmonaut cowboy cowgirl craftsman crewman cricketer crossing_guard
        cyclist cymbalist dairymaid dairyman dancer deacon deckhand deep-sea_diver deliveryman
        dental_assistant dental_hygienist dentist detective diner diver.2 doctor doorkeeper draftsman
        dressmaker drum_major drum_majorette drummer editor electrician emperor empress engineer
        engraver entertainer equestrian eye_doctor factory_worker falconer farmer farmhand farrier
        father fencer ferryman fiddler field_marshal fielder fighter_pilot film_star fire-swallower
        fire_fighter firefighter fireman.4 first_baseman fisher fisherman flight_attendant florist
        flower_girl flutist folk_dancer folk_singer foot_soldier football_player footballer forester
        frogman fullback funambulist gardener garment-worker general girl gladiator glassblower
        glassmaker glazier goalie.1 goalkeeper goatherd golfer gondolier grandfather grandma grandmother
        grandparent groomsman guard guardsman guitarist gunner gymnast hairdresser hairstylist halfback
        handyman hang_glider harpist harvester headwaiter helmsman herder herdsman hiker hitchhiker
        hitter hockey_player honor_guard horseman horsewoman house_painter hunter huntsman hurdler
        husband hussar ice-hockey_player ice-skater imam infant infantryman infielder instructor
        ironworker janitor jazz_musician jester jeweler jockey jogger joiner.2 judge juggler jumper.2
        keyboardist kicker king knitter lacrosse_player lamplighter lancer laundryman lawyer
        left_fielder librarian lieutenant lifeguard lifesaver linebacker locksmith lollipop_lady
        longbowman lumberjack machinist magician mahout maid_of_honor mailman major man manicurist
        mannequin marathoner marcher.2 mariner mason matador mathematician mechanic metalworker midwife
        military_officer military_policeman milkmaid milkman miller mime miner monk morris_dancer mother
        motorcyclist motorist mountain_climber mountaineer movie_star muleteer musician musketeer nun
        nurse oarsman oarswoman oboist officer optician organist outfielder painter paperboy paramedic
        paratrooper parent passenger passerby pastry_cook patrolman pedestrian pediatrician
        percussionist performer petty_officer pharmacist photographer physician pianist picador pilot
        pitcher plasterer plumber pole_vaulter police_officer policeman policewoman pope porter postman
        potter preacher priest prima_ballerina prince princess printer professor programmer
        projectionist puppeteer quarryman quarterback queen rabbi race_driver racer radiographer
        railroader rancher rapper receptionist referee relief_pitcher repairman reporter rider rifleman
        right_fielder rock_climber rock_star rodeo_rider roller-skater rollerblader roofer rower
        runner.6 sailor salesclerk salesman saleswoman samurai saxophonist schoolboy schoolgirl
        schoolteacher scientist scuba_diver sculptor seaman seamstress second_baseman secretary.2
        security_guard sergeant shepherd.2 shepherdess sheriff shipbuilder shoemaker shopper shortstop
        shot_putter sightseer silversmith singer sitar_player skateboarder skater ski_jumper skier
        skin-diver sledder snake_charmer snowboarder soccer_player soldier soloist sommelier soprano
        spectator spelunker sportsman sportswoman sprinter square_dancer stagehand standup_comedian
        state_trooper stevedore steward.3 stewardess stonecutter stonemason street_cleaner
        street_sweeper stretcher-bearer student stunt_pilot sumo_wrestler surfer surgeon surveyor
        swimmer tailor tap_dancer taxidriver teacher technician teenager tennis_player tenor tentmaker
        thatcher third_baseman tightrope_walker timekeeper timpanist toddler toreador tourist
        traffic_cop trapper traveler trombonist trooper truck_driver trumpeter tumbler twin typist
        umpire undergraduate unicyclist upholsterer usher ventriloquist veterinarian vicar violinist
        violist vocalist volleyball_player waiter waitress walker waltzer warrior watchmaker weaver
        weightlifter welder wheelwright wicket-keeper wife window_cleaner window_washer wine_waiter
        winemaker wingback woman woodcarver woodcutter woodworker worker workman wrestler xylophonist
        yachtsman zoologist
    """,
    BODY: """
        abdomen ankle arm armpit back backbone bang beak beard belly biceps blood body bone bouffant
        braid brain calf cheek chest chignon chin cowlick crew_cut curl dreadlock ear earlobe elbow eye
        eyeball eyebrow eyelash eyelid face facial_hair finger fingernail fingertip fist foot forearm
        forefinger forehead freckle goatee hair haircut hairdo hairstyle hand head heart heel hip
        human_body index_finger jaw knee knuckle leg lip lung mane milk_tooth mohawk moustache mouth
        muscle mustache nail navel neck nose pageboy palm paw pigtail plait pompadour ponytail pouch
        proboscis rib_cage ring_finger sausage_curl scalp shin shoulder sideburn skeleton skin skull
        snout soul_patch spine stubble tail thigh thumb thumbnail toe toenail tongue tooth torso trunk
        vandyke_beard waist walrus_mustache wattle wrist
    """,
    SUBSTANCE: """
        agate alabaster aluminum amber amethyst ash asphalt brass bronze cardboard cast_iron cement
        chalk charcoal clay coal compost concrete copper cork cotton cowhide crystal diamond dust dye
        earth emerald fiberglass firewood fleece flint foam frost fur garbage garnet gasoline glass glue
        gold granite graphite gravel grease hailstone ice icicle incense ink iron ivory jade kerosene
        lava leather limestone linen log lumber manure marble mercury metal mortar mud obsidian oil opal
        ore paper parchment pigment plank plaster plastic platinum pumice quartz rock rubber rubbish
        ruby rust salt sand sandpaper sandstone sapphire sawdust silk silver slate sludge snow soil
        stainless_steel steel stone straw stucco suede tar thatch timber tin tissue_paper topaz topsoil
        turquoise tusk vellum wallpaper water wax wicker wood wood_shavings wool wrapping_paper
        writing_paper wrought_iron zinc
    """,
    PHENOMENON: """
        aurora blizzard breeze candlelight cloud cloudburst cyclone drizzle dust_cloud dust_storm
        firelight flood fog hail halo haze hurricane lightning mist monsoon moonlight northern_lights
        rain sandstorm smoke snow snowfall snowstorm spark starlight storm sunbeam sunlight sunshine
        thunderstorm tornado twilight waterspout whirlwind wind
    """,
    EVENT: """
        avalanche bonfire boxing_match breaker eclipse explosion fire race ripple splash surf tidal_wave
        tsunami wave wedding
    """,
    ACT: """
        acrobatics archery badminton ballet baseball basketball billiards bowling boxing bullfighting
        card_game checkers chess cricket croquet curling cycling darts diving dominoes fencing
        field_hockey figure_skating fishing football gardening golf gymnastics handball high_jump hockey
        horse_racing horseback_riding hunting ice_hockey ice_skating jogging judo karate knitting
        lacrosse long_jump motorcycling mountaineering polo rock_climbing rodeo roller_skating rowing
        rugby scuba_diving sewing skateboarding skating skiing skin_diving skydiving sledding snorkeling
        snowboarding soccer softball squash surfing swimming table_tennis tennis tobogganing
        track_and_field volleyball water-skiing water_polo weightlifting wrestling yoga
    """,
    PLACE: """
        athletic_field battlefield battleground campground campus car_park cemetery churchyard city
        clearing cornfield countryside desert fairground fairway farming_area farmland field glade
        grassland graveyard hamlet harbor hayfield hometown horizon industrial_park junkyard lawn meadow
        metropolis minefield mud_flat national_park oasis oilfield paddy park parking_lot pasture
        picnic_area playground playing_field plaza prairie public_square rice_paddy savanna scrubland
        skyline slum square suburb toll_plaza town village wasteland waterfront wilderness yard
    """,
    GROUP: """
        audience band baseball_team basketball_team brass_band bunch cavalcade choir cluster convoy
        coppice couple crowd family fleet football_team forest galaxy grove heap herd jazz_band
        marching_band motorcade orchestra pair pile queue rain_forest shoal shrubbery string_quartet
        swarm symphony_orchestra team traffic_jam underbrush undergrowth vegetation
    """,
    COMMUNICATION: """
        bar_code calligraphy certificate comic_strip crossword_puzzle greeting_card menu musical_score
        newspaper postcard poster signpost street_sign traffic_light traffic_signal
    """,
}
NAMED = {category: _words(words) for category, words in _NAMED.items()}

# excluded with all hyponyms: scientific names of what has a common name, what is too small to see, drugs and
# compounds, and private matters
NEVER = _words("""
    taxonomic_group.1 microorganism.1 drug.1 chemical.1 compound.2 whorehouse.1 contraceptive.1 hormone.1
""")

# the topmost nouns fit every image; only these are usable
TOPS = _words("person.1 animal.1 plant.2 food.1")

# WordNet marks these kinds of words; all marked words are excluded in all senses …
OFFENSIVE_USAGE = _words("disparagement.1 ethnic_slur.1 obscenity.2 slang.2")

# … except those whose first sense is harmless
HARMLESS = frozenset(
    _words("""
        baby bite boy paddy pile cat corporation deck fairy guinea hood hun jerry jersey legs nip pansy pot
        potbelly queen rod rubbish screw shaft shakedown simple sister spade square stiff suit taco tool
        toothbrush trash tripe tummy
    """)
)

# always excluded, because WordNet does not mark them or only in one sense: ethnic names used as abuse, words for the
# body and for women used as insults, and cruelty to people
OFFENSIVE = frozenset(
    _words("""
        ass asshole auto-da-fe bastard bitch blackamoor blackface bondage boob booby bushman
        buttock buttocks chinaman cock concentration_camp concubine coolie coon cripple crotch
        cunt dago darky death_camp dick dike dildo dyke electric_chair eskimo eunuch fag faggot
        faggoting fagot fanny gallows-tree gas_chamber gigolo gipsy gook gypsy gypsyweed
        gypsywort harem harlot hooker hooters hottentot hussy idiot imbecile injun jap jew
        jewbush jewess jewfish jezebel kafferboom kaffir kafir kike knocker knockers
        lady-of-the-night loony lunatic mammy midget mistress mongol mongoloid moron mulatto
        nazi negress negro nigger niggerhead nipple nude papoose pecker pickaninny piss poof
        poove prick pussy quadroon queer raghead rape redneck redskin retard shit skank slave
        slave-maker slut spastic spaz spick squaw squawbush stripper tit tits titty torture turd
        twat vagina wench wetback whore wog wop yid
    """)
)
