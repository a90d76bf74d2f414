#include "stop_search.hpp"

#include <algorithm>

#include "checks.hpp"
#include "kept.hpp"
#include "lstmgen/common.h"
#include "message.hpp"

namespace lstmgen {

void check_stops(const Stops& stops, std::size_t outputs) {
    for (std::size_t i = 0; i < stops.size(); ++i)
        check_ids(stops[i].data(), stops[i].size(), outputs, (message({"stop ", i}) + ": id").c_str());
}

void StopSearch::set(const Stops& stops, std::size_t outputs) {
    check_stops(stops, outputs);
    StopMatcher matcher(stops);
    if (matcher.longest() > LSTMGEN_MAX_LOOKBACK)
        refuse(
            {"a stop: expected at most ", std::size_t{LSTMGEN_MAX_LOOKBACK}, " elements, found ", matcher.longest()});
    sought_ = stops.empty() ? nullptr : std::make_shared<const Sought>(Sought{stops, std::move(matcher)});
    restart();
}

void StopSearch::drawn(const std::uint32_t* ids, std::size_t n) noexcept {
    if (!sought_) return;
    drawn_ = std::min(drawn_ + 1, sought_->matcher.longest());
    found_ = sought_->matcher.matches(ids + (n - drawn_), drawn_);
}

void StopSearch::save(StateWriter& out) const noexcept {
    if (!sought_) return;  // nothing is no stops
    out.size(sought_->stops.size());
    for (const std::vector<std::uint32_t>& stop : sought_->stops) {
        out.size(stop.size());
        out.bytes(stop.data(), stop.size() * sizeof(std::uint32_t));
    }
    out.size(drawn_);
    out.number<std::uint8_t>(found_);
}

void StopSearch::load(StateReader& in, std::size_t outputs) {
    if (in.left() == 0) return;
    Stops stops;
    for (std::size_t left = in.size(in.left()); left > 0; --left) {
        stops.emplace_back(in.size(in.left() / sizeof(std::uint32_t)));
        in.bytes(stops.back().data(), stops.back().size() * sizeof(std::uint32_t));
    }
    set(stops, outputs);
    drawn_ = in.size(sought_ ? sought_->matcher.longest() : 0);
    found_ = in.number<std::uint8_t>() != 0 && drawn_ > 0;
}

}  // namespace lstmgen
