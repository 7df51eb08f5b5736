"""The broader nouns that people use in a search, as senses of WordNet: ``word.N`` is the N-th, default the first.

A noun of the starter list implies those above it, at any distance (``vectordb.starter.derive_kinds``).
"""

from __future__ import annotations


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FAMILIAR = _words(
    """
    animal amphibian ant antelope ape bat bear bee beetle bird bird_of_prey butterfly camel canine cat chicken.2
    cow.2 crab crocodile crustacean deer dinosaur dog dolphin.2 donkey.2 dragonfly duck eagle elephant falcon feline
    finch fish fly fox frog giraffe goat goose grasshopper gull.2 hawk heron hippopotamus horse hummingbird insect
    jellyfish.2 kangaroo leopard.2 lion lizard lobster.2 mammal marsupial mollusk monkey moth mouse ostrich.2
    otter.2 owl parrot peacock.2 pelican penguin pig pigeon primate.2 rabbit rat reptile rhinoceros rodent
    salamander sea_lion seabird seal.9 shark sheep shrimp.3 snake songbird sparrow spider squirrel stork swan
    tiger.2 toad turtle.2 vulture wading_bird whale.2 wolf woodpecker worm zebra

    plant.2 cactus conifer fern flower fruit_tree grass herb maple.2 moss mushroom.2 fungus oak.2 orchid palm.3 pine
    rose shrub tree vine wildflower

    food beverage beer berry bread cake.3 candy cheese citrus cocktail coffee condiment cookie dessert dish.2
    edible_fruit fruit meat nut pasta pastry pizza salad sandwich sauce seafood soup stew.2 tea vegetable wine

    vehicle aircraft airplane bicycle boat bus car cart helicopter motor_vehicle motorcycle ship spacecraft train
    truck van.5 wagon watercraft

    furniture bed.1 bookcase cabinet.1 chair cupboard desk lamp.2 seat.3 sofa table.2 table.3

    clothing boot coat dress footwear.2 garment hat headdress jacket shirt shoe skirt.2 sweater trouser underwear

    bridge building church.2 house.1 temple.1 tower

    bag ball basket bottle box camera computer container doll electronic_equipment gun jewelry kitchen_utensil knife
    musical_instrument percussion_instrument stringed_instrument telephone television.3 timepiece tool toy watch.1
    weapon wind_instrument clock

    person athlete child dancer man musician performer soldier woman

    body_of_water fabric road mountain
    """
)

# words with another usual sense in photographs, which WordNet's counts do not show: alone they imply nothing
AMBIGUOUS = frozenset(_words("bat beetle bow jaguar mouse nut pipe"))
