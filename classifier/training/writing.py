"""Invented sentences of company news, for teachers to label: a small grammar of our own.

The public sets are posts and headlines; news also comes in whole sentences, with amounts, periods
and a comparison. The grammar writes such sentences without saying how they feel: that is the
teacher's part. Pure: the random generator is handed in.
"""

import random
import re
from collections.abc import Mapping, Sequence

Words = Mapping[str, Sequence[str]]

_SLOT = re.compile(r"\{(\w+)\}")

_SENTENCES = (
    "{Company} 's {measure} {moved} to {amount} in {period} from {amount} {before}.",
    "{Measure} {moved} by {percent} to {amount} {compared}.",
    "{Measure} {moved} {percent} year on year to {amount}, {Company} said {day}.",
    "{Company} said its {measure} for {period} {moved} to {amount}, {compared}.",
    "{Company} posted {result} of {amount} for {period}, {against} {result} of {amount} {before}.",
    "{Company} {turned} {result} of {amount} in {period} from {result} of {amount} {before}.",
    "{Company} expects its {measure} for {year} to {stay} {level}.",
    "{Company} {outlook} for {year}, citing {cause}.",
    "{Company} shares {traded} {percent} {venue} after {event}.",
    "{Company} has {won} worth {amount} from {Company} for {product}.",
    "{Company} has signed an agreement with {Company} to {deal} {product} in {place}.",
    "The value of the {contract} is {amount}, and deliveries {start} in {period}.",
    "The financial details were not disclosed.",
    "{Company} will {cut} about {count} {jobs} in {place} {because} {cause}.",
    "{Company} starts talks with staff that may lead to {count} {layoffs} in {place}.",
    "{Company} will invest {amount} in {product} and hire {count} people in {place}.",
    "{Company} , headquartered in {place}, makes {product} and employs {count} people.",
    "{Company} is listed {venue} and operates in {count} countries.",
    "{Company} has appointed {person} as {post} as of {day}.",
    "{Person}, {post} of {Company}, leaves the company {day}; {person} succeeds.",
    "{Company} has sold its {unit} to {Company} for {amount}.",
    "{Company} buys the {unit} of {Company} in {place}.",
    "{Company} was fined {amount} by the regulator over {trouble}.",
    "{Company} faces {trouble} in {place}, and the costs may reach {amount}.",
    "{Company} {recalled} {count} units of {product} because of {trouble}.",
    "The board of {Company} proposes a dividend of {amount} per share for {year}, {compared}.",
    "The number of shares of {Company} entitling to vote is now {count}.",
    "{Analyst} {rated} {Company} to {rating} and {target} its price target to {amount}.",
    "Demand for {product} in {place} {demand}, said {person}, {post} of {Company}.",
    "Market share of {Company} in {place} {moved} to {percent} from {percent}.",
    "Order intake of {Company} {moved} to {amount} and the order book stood at {amount}.",
    "Cash flow from operations was {amount}, {compared}.",
    "{Company} issues bonds of {amount} that mature in {year}.",
    "{Company} {beat} analysts' estimates with {measure} of {amount} {against} {amount} expected.",
    "Despite {cause}, {Company} {kept} its {measure} at {amount}.",
    "The company said it is {mood} with {period} and that {cause} will {effect} {measure}.",
    "{Company} opens a {site} in {place} that will produce {product}.",
    "{Company} will publish its report for {period} {day}.",
    "{Company} closes its {site} in {place} {because} {cause}.",
    "Rents and interest of {Company} {moved} while {measure} {moved}.",
)  # fmt: skip

_WORDS: Words = {
    "moved": (
        "rose", "fell", "increased", "decreased", "grew", "declined", "climbed", "dropped",
        "went up", "went down", "was unchanged", "more than doubled", "halved", "slipped", "jumped",
        "plunged", "improved", "weakened", "edged up", "shrank",
    ),
    "measure": (
        "operating profit", "net profit", "pretax profit", "net sales", "turnover", "revenue",
        "operating loss", "net loss", "earnings per share", "operating margin", "gross margin",
        "comparable sales", "net interest income", "costs", "net debt", "order backlog", "EBIT",
        "EBITDA", "passenger traffic", "deliveries", "loan losses", "free cash flow",
    ),
    "Measure": (
        "Operating profit", "Net sales", "Net profit", "Turnover", "Revenue", "Operating loss",
        "Pretax profit", "Earnings per share", "EBIT", "Sales of {product}", "Orders",
        "Gross margin",
    ),
    "result": ("a profit", "a net profit", "a loss", "an operating loss", "an operating profit"),
    "turned": ("swung to", "turned to", "slid to", "recorded", "moved to"),
    "amount": (
        "EUR {n} mn", "EUR {n}m", "$ {n} million", "USD {n} bn", "{n} million euros", "GBP {n}m",
        "SEK {n} million", "Rs {n} crore", "{n} billion yen", "EUR {n}",
    ),
    "percent": ("{n} %", "{n} percent", "{n} pct", "{n}%"),
    "n": ("{d}", "{d}.{d}", "{d}{d}", "{d}{d}.{d}", "{d}{d}{d}", "{d},{d}{d}{d}", "0.{d}{d}"),
    "d": tuple("123456789"),
    "count": ("{d}0", "{d}{d}", "{d}00", "{d}{d}0", "{d},{d}00", "{d}{d},000", "several hundred"),
    "period": (
        "the first quarter", "the second quarter", "the third quarter", "the fourth quarter",
        "the first half", "the full year", "January-September", "April-June", "the period",
        "{year}",
    ),
    "year": ("2006", "2008", "2010", "2012", "2014", "2017", "2019", "2021", "2023", "the year"),
    "before": (
        "a year earlier", "in the same period last year", "in the previous quarter",
        "in the corresponding period", "the year before",
    ),
    "compared": (
        "compared with {amount} {before}", "up from {amount}", "down from {amount}",
        "{against} {amount} {before}", "in line with expectations", "below expectations",
        "above expectations", "representing {percent} of net sales",
    ),
    "against": ("against", "compared to", "versus"),
    "stay": ("stay at", "rise to", "fall to", "be above", "be below", "remain around"),
    "level": ("the level of {year}", "{amount}", "last year's {amount}"),
    "outlook": (
        "raised its outlook", "cut its outlook", "issued a profit warning", "repeats its guidance",
        "withdrew its guidance", "lifted its forecast", "lowered its forecast",
    ),
    "cause": (
        "weak demand", "strong demand", "higher raw material costs", "cost savings",
        "a stronger dollar", "the economic downturn", "new products", "delays of projects",
        "price competition", "the recovery of the market", "falling volumes", "supply shortages",
        "restructuring", "the integration of the {unit}",
    ),
    "traded": ("rose", "fell", "gained", "lost", "were up", "were down", "climbed", "dropped"),
    "venue": (
        "on the Helsinki exchange", "on Nasdaq", "in Frankfurt", "in London", "in early trade",
        "in Mumbai", "on the New York Stock Exchange", "in Stockholm",
    ),
    "event": (
        "its report", "it {outlook}", "a downgrade", "an upgrade", "losing a large order",
        "news of a takeover offer", "winning an order", "the departure of its {post}",
    ),
    "won": ("won an order", "received an order", "lost a contract", "been awarded a contract"),
    "deal": ("supply", "develop", "sell", "market", "deliver", "build", "maintain"),
    "product": (
        "paper machines", "mobile phones", "elevators", "cranes", "forest machinery", "insulin",
        "software", "network equipment", "tyres", "steel pipes", "cargo ships", "wind turbines",
        "building materials", "payment systems", "packaging", "diesel engines", "bakery products",
        "trucks", "semiconductors", "sportswear", "office space", "magazines", "logistics services",
    ),
    "contract": ("contract", "order", "agreement", "acquisition", "project"),
    "start": ("will start", "will be completed", "are scheduled", "were delayed to"),
    "cut": ("lay off", "cut", "shed", "hire", "transfer"),
    "jobs": ("jobs", "employees", "positions", "workers"),
    "layoffs": ("redundancies", "temporary layoffs", "new positions"),
    "because": ("because of", "due to", "thanks to", "in response to"),
    "post": (
        "chief executive", "CEO", "chief financial officer", "head of the {unit}", "chairman",
        "country manager", "senior vice president",
    ),
    "unit": (
        "paper unit", "retail arm", "bakery business", "wireless unit", "construction division",
        "shipping business", "Baltic operations", "real estate portfolio", "software unit",
    ),
    "person": ("{first} {last}",),
    "Person": ("{first} {last}",),
    "first": ("Anna", "Mikko", "John", "Priya", "Lars", "Elena", "David", "Mei", "Omar", "Karin"),
    "last": ("Virtala", "Lindqvor", "Harmon", "Sethi", "Okafin", "Brandvik", "Moreau", "Tanabe"),
    "Company": (
        "{stem}{ending}", "{stem}{ending} {form}", "{stem} {line}", "{last} {line}",
        "the company", "the group", "The {people} company {stem}{ending}", "the bank {stem}",
    ),
    "stem": (
        "Nor", "Vai", "Tele", "Medi", "Kem", "Alba", "Stor", "Luma", "Ferro", "Poly", "Oro", "Ray",
        "Cargo", "Helio", "Sani", "Agro", "Tech", "Gran", "Ruva", "Bal", "Uni", "Omni", "Astra",
    ),
    "ending": ("tek", "nia", "lux", "dal", "com", "via", "mar", "tron", "pharm", "fin", "gen"),
    "form": ("Oyj", "Plc", "Inc", "AB", "Corp", "Ltd", "Group", "AG", "SA"),
    "line": ("Bank", "Steel", "Foods", "Energy", "Systems", "Motors", "Airlines", "Insurance"),
    "place": (
        "Finland", "Russia", "Sweden", "Germany", "the Baltic states", "India", "China", "Poland",
        "the United States", "Helsinki", "St. Petersburg", "Estonia", "Brazil", "Norway",
    ),
    "people": ("Finnish", "German", "Swedish", "Indian", "Dutch", "US", "Japanese", "British"),
    "trouble": (
        "alleged price fixing", "a data breach", "faulty parts", "an investigation", "a lawsuit",
        "misleading statements", "late deliveries", "environmental damage",
    ),
    "recalled": ("recalled", "is recalling", "has delivered"),
    "Analyst": ("The broker", "The bank", "An analyst", "{last} Securities"),
    "rated": ("cut", "raised", "downgraded", "upgraded", "kept"),
    "rating": ("buy", "hold", "sell", "neutral", "outperform", "reduce"),
    "target": ("lowered", "raised", "kept"),
    "demand": (
        "has recovered", "remains weak", "is growing fast", "has slowed down", "is stable",
        "fell short of expectations", "continued to be strong",
    ),
    "beat": ("beat", "missed", "met", "fell short of", "topped"),
    "kept": ("kept", "improved", "nearly doubled", "failed to keep"),
    "mood": ("satisfied", "not satisfied", "pleased", "disappointed", "on schedule"),
    "effect": ("improve", "burden", "support", "weaken", "have no significant impact on"),
    "site": ("plant", "mill", "store", "factory", "service centre", "warehouse"),
    "day": ("on Monday", "on Thursday", "on {d} May", "today", "at the end of the year"),
}  # fmt: skip


def write_sentences(count: int, generator: random.Random) -> list[str]:
    """``count`` sentences; short ones may repeat."""
    return [_fill(generator.choice(_SENTENCES), generator) for _ in range(count)]


def _fill(text: str, generator: random.Random) -> str:
    """Put words in every slot, and in the slots of those words, until none is left."""
    while _SLOT.search(text):
        text = _SLOT.sub(lambda slot: generator.choice(_WORDS[slot[1]]), text)
    return text[0].upper() + text[1:]
