// The headers that nearly every file needs and that cost seconds to parse.
#ifndef GAS_CORE_PRECOMPILED_H_
#define GAS_CORE_PRECOMPILED_H_

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "gas/core/torch.h"

#endif  // GAS_CORE_PRECOMPILED_H_
