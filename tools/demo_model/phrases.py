"""What phone commands are made of: the values of their slots, and the ways to say them.

Only data: commands.py makes prompts and answers of it.
"""

# ------------------------------------------------------------------------------------------------
# Slot values. No value contains a quotation mark or a line break, and none ends in punctuation.
# Every app is in one of the three groups that some two-slot intent uses, so that an app whose
# Launch is held out is still seen in training.

MESSAGE_APPS = {
    "en": ["WeChat", "WhatsApp", "Telegram", "Signal", "Messenger", "QQ", "Line", "Slack",
           "Discord", "Skype"],
    "zh": ["微信", "QQ", "钉钉", "飞书", "短信", "企业微信", "陌陌", "易信", "旺旺", "云信"],
}
MAP_APPS = {
    "en": ["Google Maps", "Apple Maps", "Baidu Maps", "Waze", "Amap", "Citymapper"],
    "zh": ["高德地图", "百度地图", "腾讯地图", "苹果地图", "谷歌地图", "搜狗地图"],
}
SEARCH_APPS = {
    "en": ["Chrome", "YouTube", "Amazon", "eBay", "Taobao", "TikTok", "Spotify", "Netflix",
           "Reddit", "Wikipedia", "Instagram", "Twitter", "Bilibili", "Pinterest", "Booking",
           "Yelp", "Kindle", "Weibo", "Firefox", "Zhihu"],
    "zh": ["淘宝", "京东", "拼多多", "抖音", "快手", "小红书", "哔哩哔哩", "知乎", "微博", "美团",
           "饿了么", "大众点评", "网易云音乐", "爱奇艺", "优酷", "腾讯视频", "携程", "豆瓣", "百度",
           "闲鱼"],
}
PEOPLE = {
    "en": ["Mom", "Dad", "Grandma", "Grandpa", "Alice", "Bob", "Carol", "David", "Emma", "Frank",
           "Grace", "Henry", "Ivy", "Jack", "Kate", "Leo", "Mary", "Nick", "Olivia", "Peter",
           "Rose", "Sam", "Tom", "Victor", "Wendy", "Uncle Ben", "Aunt May", "Doctor Lee",
           "Li Wei", "Wang Fang", "Mr Brown", "Miss Green"],
    "zh": ["妈妈", "爸爸", "爷爷", "奶奶", "姐姐", "哥哥", "舅舅", "表弟", "老张", "小王", "小李", "小红",
           "小明", "阿强", "阿梅", "李明", "王芳", "张伟", "刘洋", "陈静", "赵敏", "孙丽", "周平", "吴刚",
           "郑涛", "林晓", "何老师", "王老师", "李医生", "张经理", "房东", "同桌"],
}
PLACES = {
    "en": ["Central Station", "City Hall", "Hyde Park", "London Bridge", "Times Square",
           "Golden Gate", "Victoria Park", "West Lake", "Summer Palace", "Green Street",
           "King Street", "North Harbour", "South Beach", "River Museum", "National Library",
           "Grand Theatre", "Union Square", "Queen Mary Hospital", "Oak Hill School",
           "Star Cinema", "Silver Market", "East Gate", "Castle Road", "Rose Garden",
           "Blue Mountain", "Old Town", "Airport Terminal 2", "Lake View Hotel", "Market Street",
           "Science Museum", "Forest Zoo", "Tower Bridge", "Ocean Park", "Temple Square",
           "Garden City Mall", "Sunset Point"],
    "zh": ["天安门", "颐和园", "故宫", "西湖", "外滩", "火车站", "机场", "图书馆", "博物馆", "人民广场",
           "市医院", "动物园", "植物园", "体育馆", "大剧院", "北京南站", "虹桥站", "中山公园", "黄鹤楼",
           "岳阳楼", "大雁塔", "鼓楼", "夫子庙", "灵隐寺", "长城", "天坛", "王府井", "南京路", "科技园",
           "市政府", "文化宫", "汽车站", "菜市场", "电影院", "少年宫", "东门大街"],
}
MESSAGES = {
    "en": ["I will be late", "I am on my way", "see you tonight", "dinner is ready",
           "the train is late", "call me back", "happy birthday", "thank you for the gift",
           "I have arrived", "please buy some milk", "the meeting is at noon",
           "let us meet tomorrow", "I lost my keys", "good luck today", "I am at the office",
           "come home early", "do not wait for me", "the door is open", "I miss you",
           "bring an umbrella", "we won the game", "the report is done", "are you free tonight",
           "see you at the station", "I need your help", "the book has come",
           "lunch is on me", "my phone is broken", "the bus has left", "it is raining here",
           "please feed the cat", "I found your hat", "the baby is asleep",
           "we are out of bread", "turn off the lights", "the show starts at eight",
           "I got the job", "have a nice trip", "take your time", "the shop is closed"],
    "zh": ["我晚点到", "我在路上了", "今晚见", "饭做好了", "火车晚点了", "回我电话", "生日快乐", "谢谢你的礼物",
           "我已经到了", "记得买牛奶", "中午开会", "明天见个面", "钥匙丢了", "祝你好运", "我在公司", "早点回家",
           "不用等我", "门没有锁", "我想你了", "带把雨伞", "我们赢了", "报告写完了", "今晚有空吗", "车站见",
           "需要你帮忙", "书已经到了", "午饭我请", "手机坏了", "车已经开了", "这里下雨了", "帮我喂猫",
           "帽子找到了", "孩子睡着了", "面包吃完了", "记得关灯", "八点开演", "我找到工作了", "一路平安",
           "慢慢来别急", "商店关门了"],
}
QUERIES = {
    "en": ["running shoes", "cat videos", "jazz music", "noodle recipes", "world news",
           "winter coats", "guitar lessons", "cheap flights", "coffee beans", "chess openings",
           "history of rome", "rain sounds", "phone cases", "yoga for beginners", "green tea",
           "space movies", "train tickets", "garden tools", "funny dogs", "piano covers",
           "desk lamps", "hiking boots", "poems by li bai", "football scores", "easy dinners",
           "night sky photos", "old maps", "water bottles", "board games", "english grammar",
           "bread baking", "city hotels", "science podcasts", "travel bags", "red dresses",
           "bird songs", "solar panels", "paper lanterns", "mountain bikes", "silk scarves"],
    "zh": ["跑步鞋", "猫咪视频", "爵士乐", "面条做法", "今日新闻", "羽绒服", "吉他教程", "特价机票", "咖啡豆",
           "象棋开局", "罗马历史", "雨声", "手机壳", "瑜伽入门", "龙井茶", "科幻电影", "火车票", "园艺工具",
           "搞笑狗狗", "钢琴曲", "台灯", "登山靴", "李白的诗", "足球比分", "家常菜", "星空照片", "老地图",
           "保温杯", "桌游", "英语语法", "烤面包", "附近酒店", "科学讲座", "旅行箱", "红裙子", "鸟叫声",
           "太阳能板", "纸灯笼", "山地车", "丝绸围巾"],
}
CHORES = {  # What the assistant is asked for and cannot do.
    "en": ["cook dinner", "wash the dishes", "fly a plane", "paint the wall", "walk the dog",
           "drive a truck", "play the piano", "plant a tree", "fix the roof", "ride a horse",
           "catch a fish", "climb a mountain", "sing an opera", "build a boat", "bake a cake",
           "cut hair", "iron a shirt", "carry the boxes", "water the flowers",
           "sweep the floor", "milk a cow", "swim across the river", "sew a dress",
           "dig a well", "mend shoes", "chop the wood"],
    "zh": ["做晚饭", "洗碗", "开飞机", "刷墙", "遛狗", "开卡车", "弹钢琴", "种树", "修屋顶", "骑马", "钓鱼",
           "爬山", "唱京剧", "造船", "烤蛋糕", "剪头发", "熨衣服", "搬箱子", "浇花", "扫地", "挤牛奶",
           "游过长江", "做衣服", "挖井", "修鞋", "劈柴"],
}

ALL_APPS = {l: list(dict.fromkeys(MESSAGE_APPS[l] + MAP_APPS[l] + SEARCH_APPS[l]))
            for l in ("en", "zh")}

# ------------------------------------------------------------------------------------------------
# Phrasings. An English one is an imperative in lower case that never begins with a slot, so that
# it can stand alone, behind a polite opening, or inside a prompt that asks for several things.

PHRASINGS = {
    "en": {
        "Launch": ["open {app}", "launch {app}", "start {app}", "start up {app}", "run {app}",
                   "bring up {app}", "go to {app}", "switch to {app}", "show me {app}",
                   "open the {app} app", "get {app} running", "take me into {app}"],
        "Message": ["send {to} a message on {app}: {text}", "tell {to} on {app} that {text}",
                    'message {to} on {app} saying "{text}"', "text {to} on {app}: {text}",
                    "use {app} to tell {to} {text}", "open {app} and write to {to}: {text}",
                    'send "{text}" to {to} on {app}', 'write "{text}" to {to} with {app}',
                    "let {to} know on {app} that {text}", 'reply "{text}" to {to} in {app}',
                    "drop {to} a line on {app}: {text}"],
        "Alarm": ["set an alarm for {time}", "wake me up at {time}", "set my alarm to {time}",
                  "make an alarm for {time}", "create an alarm at {time}",
                  "have the alarm ring at {time}", "get me up at {time}",
                  "put an alarm on for {time}", "ring me at {time}", "add a {time} alarm"],
        "Navigate": ["navigate to {place} with {app}", "take me to {place} using {app}",
                     "use {app} to get to {place}", "find the way to {place} on {app}",
                     "show me the route to {place} in {app}", "open {app} and go to {place}",
                     "start {app} directions to {place}", "guide me to {place} with {app}",
                     "get directions to {place} from {app}", "lead me to {place} on {app}"],
        "Search": ["search {app} for {text}", "look for {text} on {app}", "find {text} on {app}",
                   "look up {text} in {app}", "use {app} to search for {text}",
                   "open {app} and find {text}", 'search for "{text}" on {app}',
                   "go to {app} and look up {text}", 'type "{text}" into {app} search',
                   "show me {text} on {app}"],
        "Call": ["call {to}", "phone {to}", "ring {to}", "dial {to}", "give {to} a call",
                 "make a call to {to}", "get {to} on the phone", "start a call with {to}",
                 "place a call to {to}", "telephone {to}"],
    },
    "zh": {
        "Launch": ["打开{app}", "启动{app}", "运行{app}", "进入{app}", "开一下{app}", "切换到{app}",
                   "把{app}打开", "点开{app}", "打开{app}应用", "让{app}跑起来"],
        "Message": ["给{to}发{app}说{text}", "用{app}给{to}发消息：{text}", "打开{app}告诉{to}：{text}",
                    "在{app}上跟{to}说“{text}”", "通过{app}给{to}发一条消息，内容是{text}",
                    "发{app}消息给{to}：{text}", "用{app}通知{to}，{text}", "在{app}里回复{to}：{text}",
                    "用{app}转告{to}“{text}”", "用{app}把“{text}”发给{to}"],
        "Alarm": ["定一个{time}的闹钟", "设置{time}的闹钟", "{time}叫醒我", "在{time}叫我起床",
                  "把闹钟定到{time}", "订个闹钟，时间是{time}", "加一个{time}的闹铃", "闹钟设为{time}",
                  "让闹钟{time}响", "新建{time}的闹钟"],
        "Navigate": ["用{app}导航到{place}", "打开{app}去{place}", "用{app}带我去{place}",
                     "在{app}上查去{place}的路线", "用{app}找到{place}怎么走", "通过{app}前往{place}",
                     "启动{app}导航去{place}", "开{app}，目的地是{place}", "用{app}规划到{place}的路",
                     "在{app}里导航至{place}"],
        "Search": ["在{app}上搜索{text}", "用{app}搜{text}", "打开{app}找{text}", "到{app}查一下{text}",
                   "在{app}里找找{text}", "去{app}搜一搜{text}", "用{app}查找“{text}”",
                   "在{app}搜索框输入{text}", "上{app}看看{text}", "打开{app}搜索“{text}”"],
        "Call": ["给{to}打电话", "打电话给{to}", "呼叫{to}", "拨打{to}的电话", "拨通{to}的号码",
                 "给{to}拨个电话", "跟{to}通话", "联系{to}，打电话", "打个电话给{to}", "和{to}电话聊聊"],
    },
}

# Openings for a prompt that asks for one thing; those with a question mark are not used when the
# phrasing ends in free text.
OPENINGS = {
    "en": ["{}", "{}", "{}", "{}.", "please {}", "please {}.", "can you {}?", "could you {}?",
           "I want you to {}", "hey, {}", "{}, please", "now {}", "I would like you to {}.",
           "kindly {}"],
    "zh": ["{}", "{}", "{}", "{}。", "请{}", "请{}。", "帮我{}", "麻烦{}", "能不能{}？", "你好，{}",
           "现在{}", "请你{}", "可以{}吗？"],
}
JOINS = {
    "en": {
        2: ["{} and then {}", "{}, then {}", "first {}, then {}", "{}. After that, {}",
            "{} and after that {}", "please {}, then {}.", "{}; {}", "{}, and also {}"],
        3: ["{}, then {}, then {}", "first {}, then {}, and finally {}", "{}; {}; {}",
            "{}, {}, and then {}", "please {}, then {}, and last {}."],
    },
    "zh": {
        2: ["{}，然后{}", "先{}，再{}", "{}，接着{}", "{}，之后{}", "请{}，再{}。", "{}；{}", "{}，还要{}",
            "帮我{}，然后{}"],
        3: ["{}，然后{}，最后{}", "先{}，再{}，最后{}", "{}；{}；{}", "{}，接着{}，再{}", "请{}，再{}，最后{}。"],
    },
}

# ------------------------------------------------------------------------------------------------
# finish(): replies with a slot are drawn like the other intents; a fixed reply can only be known
# from training, so none of them may be held out (commands.py checks that when it is loaded).

GREETINGS = {  # reply, prompts
    "en": [
        ("Hello, {to}! What can I do for you?",
         ["hello, I am {to}", "hi, my name is {to}", "hello, {to} here", "hi there, this is {to}",
          "hey, I am {to}"]),
        ("Goodbye, {to}!",
         ["goodbye, says {to}", "bye from {to}", "see you later, says {to}", "{to} is leaving now",
          "{to} says goodbye"]),
        ("You are welcome, {to}.",
         ["thanks, says {to}", "thank you from {to}", "many thanks from {to}",
          "{to} says thank you", "{to} is grateful to you"]),
        ("Good night, {to}!",
         ["good night from {to}", "{to} is going to bed", "{to} wants to sleep now",
          "{to} says good night"]),
        ("Happy birthday, {to}!",
         ["today is the birthday of {to}", "{to} has a birthday today", "it is {to}'s birthday",
          "wish {to} a happy birthday"]),
    ],
    "zh": [
        ("你好，{to}！有什么可以帮你？",
         ["你好，我是{to}", "您好，我叫{to}", "嗨，我是{to}", "你好，这里是{to}", "我是{to}，你好"]),
        ("再见，{to}！",
         ["{to}要走了", "{to}跟你说再见", "我是{to}，再见", "{to}先走了，再见", "再见，我是{to}"]),
        ("不客气，{to}。",
         ["{to}谢谢你", "我是{to}，谢谢你", "{to}说多谢", "谢谢，我是{to}", "{to}很感谢你"]),
        ("晚安，{to}！", ["{to}要睡觉了", "{to}跟你说晚安", "我是{to}，晚安", "晚安，我是{to}"]),
        ("生日快乐，{to}！",
         ["今天是{to}的生日", "{to}今天过生日", "祝{to}生日快乐", "{to}的生日到了"]),
    ],
}
REFUSALS = {  # A chore always comes with a second slot, or a held-out chore would be unknown.
    "en": [
        ("Sorry, I cannot {chore} for {to}.",
         ["can you {chore} for {to}?", "please {chore} for {to}", "{chore} for {to}",
          "could you {chore} for {to}?", "I want you to {chore} for {to}",
          "would you {chore} for {to}?", "help me {chore} for {to}"]),
        ("Sorry, I cannot {chore} at {place}.",
         ["can you {chore} at {place}?", "please {chore} at {place}", "{chore} at {place}",
          "could you {chore} at {place}?", "help me {chore} at {place}"]),
        ("Sorry, I cannot {chore} at {time}.",
         ["can you {chore} at {time}?", "please {chore} at {time}", "at {time}, {chore}",
          "could you {chore} at {time}?", "{chore} at {time}"]),
    ],
    "zh": [
        ("抱歉，我不会替{to}{chore}。",
         ["你会替{to}{chore}吗？", "请替{to}{chore}", "替{to}{chore}", "你能替{to}{chore}吗？",
          "去替{to}{chore}", "可以替{to}{chore}吗？", "我要你替{to}{chore}"]),
        ("抱歉，我不会在{place}{chore}。",
         ["你会在{place}{chore}吗？", "请在{place}{chore}", "在{place}{chore}",
          "可以在{place}{chore}吗？", "去{place}{chore}"]),
        ("抱歉，{time}我不会{chore}。",
         ["{time}你能{chore}吗？", "请在{time}{chore}", "{time}去{chore}", "{time}帮我{chore}",
          "我要你{time}{chore}"]),
    ],
}
FIXED_REPLIES = {
    "en": [
        ("You are welcome.", ["thank you", "thanks a lot", "many thanks", "thanks"]),
        ("Hello! How can I help you?", ["hello", "hi", "hey there", "good day"]),
        ("Goodbye!", ["goodbye", "bye", "see you later", "that is all for today"]),
        ("I am a very small language model.",
         ["who are you?", "what are you?", "tell me about yourself", "introduce yourself"]),
        ("I can open apps, send messages, make calls, set alarms, search and navigate.",
         ["what can you do?", "how can you help me?", "what are you good at?", "help"]),
        ("I am fine, thank you.",
         ["how are you?", "how do you do?", "how are you today?", "are you well?"]),
        ("My name is PocketGLM.",
         ["what is your name?", "tell me your name", "do you have a name?",
          "how should I call you?"]),
        ("I cannot see the sky from here.",
         ["what is the weather?", "will it rain today?", "is it sunny?", "how cold is it?"]),
        ("I do not have a clock.",
         ["what time is it?", "tell me the time", "what day is it?", "how late is it?"]),
        ("I do not know any jokes.",
         ["tell me a joke", "make me laugh", "say something funny", "do you know a joke?"]),
        ("No, I am a program.",
         ["are you human?", "are you a person?", "are you alive?", "do you have a body?"]),
        ("I know English and Chinese.",
         ["what languages do you speak?", "do you know Chinese?", "do you speak English?",
          "which languages do you understand?"]),
        ("All right, I will stop.", ["stop", "cancel that", "never mind", "forget it"]),
        ("That is good to hear.",
         ["well done", "good job", "you did well", "that was great"]),
        ("No problem at all.",
         ["sorry", "I am sorry", "my mistake", "please forgive me"]),
        ("I live in your phone.",
         ["where do you live?", "where are you?", "where is your home?",
          "where do you come from?"]),
        ("I do not need to eat.",
         ["are you hungry?", "what do you eat?", "do you like food?", "did you have lunch?"]),
        ("I cannot answer that.",
         ["what is the meaning of life?", "who will win the election?",
          "what will happen tomorrow?", "should I buy a house?"]),
        ("Good morning!", ["good morning", "morning", "a good morning to you", "I just woke up"]),
        ("Sweet dreams!", ["good night", "I am going to bed", "time to sleep", "I am sleepy"]),
        ("I am sorry to hear that.", ["I am sad", "I feel bad", "I am lonely", "I had a bad day"]),
        ("I do not sing.", ["sing me a song", "sing something", "can you sing?", "hum a tune"]),
    ],
    "zh": [
        ("不客气。", ["谢谢", "多谢", "谢谢你", "非常感谢"]),
        ("你好！有什么可以帮你？", ["你好", "您好", "嗨", "在吗"]),
        ("再见！", ["再见", "拜拜", "回头见", "今天就到这里"]),
        ("我是一个小小的语言模型。", ["你是谁？", "你是什么？", "介绍一下你自己", "说说你自己"]),
        ("我会打开应用、发消息、打电话、定闹钟、搜索和导航。",
         ["你会什么？", "你能做什么？", "你有什么本领？", "帮助"]),
        ("我很好，谢谢。", ["你好吗？", "你怎么样？", "今天过得好吗？", "最近好吗？"]),
        ("我叫小智谱。", ["你叫什么名字？", "你的名字是什么？", "你有名字吗？", "怎么称呼你？"]),
        ("我看不见天空。", ["今天天气怎么样？", "会下雨吗？", "外面冷不冷？", "是晴天吗？"]),
        ("我不知道时间。", ["现在几点了？", "今天星期几？", "告诉我时间", "今天几号？"]),
        ("我不会说笑话。", ["讲个笑话", "逗我笑一笑", "说点好笑的", "你会讲笑话吗？"]),
        ("不，我是一个程序。", ["你是人吗？", "你是真人吗？", "你有生命吗？", "你有身体吗？"]),
        ("我懂中文和英文。", ["你会说什么语言？", "你懂英文吗？", "你会中文吗？", "你懂几种语言？"]),
        ("好的，我停下。", ["停", "取消", "算了", "不用了"]),
        ("听到这话真高兴。", ["做得好", "干得漂亮", "真不错", "你真棒"]),
        ("没关系。", ["对不起", "抱歉", "是我的错", "请原谅我"]),
        ("我住在你的手机里。", ["你住在哪里？", "你在哪儿？", "你家在哪里？", "你从哪里来？"]),
        ("我不用吃饭。", ["你饿吗？", "你吃什么？", "你吃饭了吗？", "你喜欢吃什么？"]),
        ("这个我答不上来。", ["人生的意义是什么？", "明天会怎样？", "谁会赢？", "我该买房吗？"]),
        ("早上好！", ["早上好", "早", "早安", "我刚起床"]),
        ("做个好梦！", ["晚安", "我要睡觉了", "该睡了", "我困了"]),
        ("别难过，会好起来的。", ["我很难过", "我心情不好", "我好孤单", "今天真倒霉"]),
        ("我不会唱歌。", ["唱首歌", "给我唱歌", "你会唱歌吗？", "哼一段曲子"]),
    ],
}
