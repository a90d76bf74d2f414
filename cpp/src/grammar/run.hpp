// A text that grows element by element, and the elements that keep it a begin of a text of the
// grammar.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "grammar/grammar.hpp"
#include "lstmgen/lstmgen.hpp"

namespace lstmgen::grammar {

class Run;

/// What the runs of a grammar have worked out so far: it makes them fast, and changes no result.
/// For one thread at a time; it may be given up at any moment.
class Memo {
public:
    /// `keep_going`, if it is not null, must outlive the memo. It is asked after about every
    /// millisecond of work on an element. If it returns false, the function of the run throws Error
    /// with the code stopped, and the run is as before.
    explicit Memo(std::shared_ptr<const Grammar> grammar, const Continue* keep_going = nullptr);
    /// `most_bytes`: after which it begins anew, but for the states of the runs.
    Memo(std::shared_ptr<const Grammar> grammar, std::size_t most_bytes, const Continue* keep_going = nullptr);
    ~Memo();
    Memo(const Memo&) = delete;
    Memo& operator=(const Memo&) = delete;

    const std::shared_ptr<const Grammar>& grammar() const noexcept { return grammar_; }

    /// Forgets all. Runs go on as before.
    void clear();
    std::size_t bytes() const noexcept;

private:
    friend class Run;
    class Engine;

    static std::size_t room_for(const Grammar& grammar) noexcept;

    std::shared_ptr<const Grammar> grammar_;
    std::size_t most_bytes_;
    const Continue* keep_going_;
    std::uint64_t times_cleared_ = 0;
    std::vector<Run*> runs_;  // which use it
    std::unique_ptr<Engine> engine_;
};

/// The stacks that all parallel readings of the text share lie in an array; what differs above them
/// is a number of the memo. So the memo does not grow with what is open.
class Run {
public:
    explicit Run(std::shared_ptr<Memo> memo);
    /// Shares the memo.
    Run(const Run& other);
    Run& operator=(const Run&) = delete;
    ~Run();

    const Grammar& grammar() const noexcept { return *memo_->grammar_; }

    /// Back to the empty text.
    void reset();

    /// A bit for each element, 64 to a word: those after which the text is still the begin of a
    /// text that elements can complete; with `left`, within `left` elements, the next one among
    /// them. No bit is set if and only if the text is complete and nothing may follow (within
    /// `left`). Valid until the next call of a function of a run with this memo. Throws Error
    /// (invalid_argument) if `left` is below shortest_end().
    const std::uint64_t* allowed(std::uint64_t left = kUnlimited);

    /// Works out what `allowed`, `shortest_end` and `accept` need. Those take little time then, and
    /// throw no Error but invalid_argument, until the memo begins anew.
    void work_out();

    /// Appends an element. Throws Error (invalid_argument) if it is not allowed; the run is as
    /// before then.
    void accept(std::uint32_t id);

    /// Becomes a run of the same memo, which becomes this one.
    void swap(Run& other) noexcept;

    /// The text is one of the grammar.
    bool is_complete();

    /// The least number of elements that complete the text: 0 if it is complete. Where
    /// grammar().closes_by_characters(), the least number of single characters.
    std::uint64_t shortest_end();

    /// Writes the state to `to` if it fits into `capacity` bytes. Returns how many it takes. They
    /// are the same on every machine and whatever the memo knows.
    std::size_t save(void* to, std::size_t capacity);
    /// Throws Error: ErrorCode::format if the bytes are damaged, invalid_argument if they are of
    /// another grammar; the run is as before then.
    void load(const void* from, std::size_t bytes);

private:
    friend class Memo;
    friend class Memo::Engine;

    struct Level {
        std::uint32_t level;     // of the memo: a set of stacks, and what can follow below it
        std::uint64_t elements;  // to its end and that of all below, at least
    };

    void settle(bool joins = true);
    void read_letter(std::size_t letter);
    void follow(std::size_t popped, std::uint32_t outcome);
    std::size_t write(void* to, std::size_t capacity);
    std::uint32_t vector() const noexcept;
    std::uint32_t entry(std::size_t& known);
    std::uint32_t kept_entry(std::size_t& known);
    std::uint32_t new_entry(std::size_t& known);
    std::uint32_t find_entry(std::size_t& known);

    std::shared_ptr<Memo> memo_;
    std::uint32_t state_ = 0;
    std::vector<Level> stack_;  // (segments of the array), the lowest first
    // What `entry` found last, and when. Null once the run has gone on.
    std::uint32_t entry_ = kNone;
    std::size_t entry_known_ = 0;
    std::uint64_t entry_time_ = 0;
    std::vector<Level> taken_;         // working memory of `accept`
    std::vector<std::uint64_t> mask_;  // ((elements + 63) / 64), an answer of `allowed`
    // Working memory of `write`.
    std::vector<std::uint32_t> order_;                         // (sets that it writes)
    std::vector<std::pair<std::uint32_t, std::size_t>> path_;  // (depth), a set and its next edge
    IdMap numbers_;
};

}  // namespace lstmgen::grammar
